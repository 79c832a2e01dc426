//! What PostgreSQL can do by itself: `pgbench` with as many clients, writing one event a commit and reading the page.

use std::{fs, time::Duration};

use orgledger::{
    domain::OrganizationId,
    store::{
        members::{Filter, OrderField},
        page::{Direction, End, Window},
        statement::Statement,
    },
};

use super::{
    clients::{Failure, Load},
    cluster::Cluster,
    machine::Meters,
    seed::CLIENTS,
};

/// Commits one event of the size of ours, each client in an organization of its own, into a table with the columns,
/// the keys and the indexes of ours.
const INSERT: &str = r#"\set sequence :sequence + 1
INSERT INTO one_insert (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, organization_id, recorded_at, prev_hash, hash) VALUES ('organization', lpad(to_hex(:client_id::bigint), 36, '0'), :sequence::bigint, 'member.role_changed', '1', '{"to": "00000000-0000-0000-0000-000000000006", "from": "00000000-0000-0000-0000-000000000003", "userId": "5f0f1c5e-3f0e-4d6b-9d0a-5a8f8c3c9a11"}', '{"actorId": "0b5c6f9e-7a38-4a3f-8b36-2f1f3f0c7d22", "actorKind": "USER", "requestId": "01890a5d-ac96-774b-bcce-b302099a8057"}', lpad(to_hex(:client_id::bigint), 32, '0')::uuid, now(), decode('5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456', 'hex'), decode('5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456', 'hex'));
"#;

/// Inserts, one a commit.
pub async fn insert(cluster: &Cluster, database: &str, run: (f64, &Meters)) -> Result<Load, Failure> {
    let table = "DROP TABLE IF EXISTS one_insert; CREATE TABLE one_insert (LIKE events INCLUDING ALL)";
    cluster.run(database, table).await?;
    pgbench(cluster, database, INSERT, run)
}

/// Reads the page of members by the statement of the server, which counts nobody for it.
pub fn page(
    cluster: &Cluster,
    database: &str,
    organization: OrganizationId,
    run: (f64, &Meters),
) -> Result<Load, Failure> {
    let filter = Filter::present(organization);
    let window = Window { limit: 50, end: End::First, after: None, before: None };
    let page = filter.page_statement((OrderField::Name, Direction::Ascending), &window);
    let values = [format!("'{organization}'"), "'ACTIVE'".to_owned(), "'INACTIVE'".to_owned(), "51".to_owned()];
    pgbench(cluster, database, &written_out(&page, &values), run)
}

/// A statement on one line, with its values in it.
fn written_out(statement: &Statement, values: &[String]) -> String {
    let text =
        values.iter().enumerate().rev().fold(statement.text().to_owned(), |text, (before, value)| {
            text.replace(&format!("${}", before + 1), value)
        });
    format!("{text};\n")
}

fn pgbench(
    cluster: &Cluster,
    database: &str,
    script: &str,
    (seconds, meters): (f64, &Meters),
) -> Result<Load, Failure> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("script.sql");
    fs::write(&file, script)?;
    let clients = CLIENTS.to_string();
    let mut command = cluster.program("pgbench");
    command.args(["-n", "-M", "prepared", "-c", &clients, "-j", "2", "-D", "sequence=0", "--log"]);
    command.args(["-T", &format!("{:.0}", seconds.max(1.0)), "-f"]).arg(&file).arg(database);
    let before = meters.read()?;
    let output = command.current_dir(folder.path()).output()?;
    let spent = meters.read()?.since(before);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let per_second = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse::<f64>().ok());
    let (Some(per_second), true) = (per_second, output.status.success()) else {
        return Err(format!("pgbench: {said}{}", String::from_utf8_lossy(&output.stderr)).into());
    };
    let mut latencies = Vec::new();
    for entry in fs::read_dir(folder.path())?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("pgbench_log") {
            let log = fs::read_to_string(entry.path())?;
            let taken = |line: &str| line.split(' ').nth(2).and_then(|number| number.parse().ok());
            latencies.extend(log.lines().filter_map(taken).map(Duration::from_micros));
        }
    }
    // Its own count of the time leaves the connecting out.
    let seconds = f64::from(u32::try_from(latencies.len())?) / per_second;
    Ok(Load::new(latencies, seconds, spent))
}
