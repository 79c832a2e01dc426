//! What is wrong with a plan: a whole table, or an index that is read across organizations.

use orgledger::store::{Database, statement::Statement};

/// Indexes whose keys do not begin with the organization, because they find one.
const REGISTRIES: [&str; 5] = ["(user_id", "(public_id", "(s.user_id", "(email_key", "(session_id"];

/// Indexes that hold a few rows of all organizations, and no others: requests that are open, exports that are to be made.
const FEW: [&str; 2] = ["organizations_requested", "data_exports_pending"];

/// What is wrong with a plan of PostgreSQL: a whole table, or an index that is read across organizations.
pub fn faults_in_postgres(plan: &[String]) -> Vec<&String> {
    let beyond = |at: &usize| {
        let line = &plan[*at];
        let condition = plan.get(at + 1).map_or("", |next| next.trim());
        let bounded = condition.starts_with("Index Cond:")
            && (condition.contains("organization_id") || REGISTRIES.iter().any(|key| condition.contains(key)))
            || FEW.iter().any(|index| line.contains(&format!("using {index} ")));
        line.contains("Seq Scan") || (line.contains("Index") && line.contains("Scan") && !bounded)
    };
    (0..plan.len()).filter(beyond).map(|at| &plan[at]).collect()
}

/// The same of SQLite.
pub fn faults_in_sqlite(plan: &[String]) -> Vec<&String> {
    let beyond = |line: &&String| {
        let bounded = line.contains("(organization_id=?") || REGISTRIES.iter().any(|key| line.contains(key));
        let few = FEW.iter().any(|index| line.contains(&format!(" USING INDEX {index}")));
        let scan = line.starts_with("SCAN")
            && !["SCAN CONSTANT ROW", "SCAN asked", "SCAN place", "SCAN part", "SCAN found", "SCAN b"]
                .contains(&line.as_str())
            && !line.ends_with("-ROW VALUES CLAUSE")
            && !few;
        scan || (line.starts_with("SEARCH") && !bounded && !few)
    };
    plan.iter().filter(beyond).collect()
}

/// A statement's text, and the faults in the plan that PostgreSQL makes for its values.
pub async fn explained(database: &Database, statement: Statement) -> (String, String) {
    let text = statement.text().to_owned();
    let plan: Vec<(String,)> = statement.explained("EXPLAIN").all(database).await.unwrap();
    let plan: Vec<_> = plan.into_iter().map(|(line,)| line).collect();
    (text, if faults_in_postgres(&plan).is_empty() { String::new() } else { plan.join("\n") })
}

/// The plan that SQLite makes for a statement.
pub async fn sqlite_plan(database: &Database, text: &str) -> Vec<String> {
    let explain = format!("EXPLAIN QUERY PLAN {text}");
    let lines: Vec<(i64, i64, i64, String)> = Statement::new(explain).all(database).await.unwrap();
    lines.into_iter().map(|(.., detail)| detail).collect()
}

/// The check itself finds what it is for.
#[test]
fn a_plan_that_reads_a_whole_table_is_found() {
    let plan = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert_eq!(faults_in_postgres(&plan(&["Seq Scan on members m  (cost=1)"])).len(), 1);
    let whole_index = plan(&["Index Scan using members_by_name on members m", "  Filter: (organization_id = $1)"]);
    assert_eq!(faults_in_postgres(&whole_index).len(), 1);
    let bounded = plan(&["Index Scan using members_by_name on members m", "  Index Cond: (organization_id = $1)"]);
    assert_eq!(faults_in_postgres(&bounded).len(), 0);
    let requested = plan(&["->  Index Scan using organizations_requested on organizations  (cost=1)"]);
    assert_eq!(faults_in_postgres(&requested).len(), 0);
    assert_eq!(faults_in_sqlite(&plan(&["SCAN m USING INDEX members_by_name", "SCAN CONSTANT ROW"])).len(), 1);
    assert_eq!(faults_in_sqlite(&plan(&["SCAN organizations USING INDEX organizations_requested"])).len(), 0);
    assert_eq!(faults_in_sqlite(&plan(&["SCAN organizations USING INDEX organizations_by_name"])).len(), 1);
    assert_eq!(faults_in_sqlite(&plan(&["SEARCH m USING INDEX a (organization_id=? AND name_key>?)"])).len(), 0);
}
