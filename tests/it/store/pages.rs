//! Walks a list page by page, forwards and backwards, and holds it against the whole list.

use std::fmt::Debug;

use orgledger::store::page::{End, Page, Position, Window};
use uuid::Uuid;

/// Page sizes: the smallest, two that leave a rest, and one larger than most lists.
pub const SIZES: [u32; 4] = [1, 2, 7, 50];

/// Reads every page from the first to the last, and from the last to the first.
pub async fn both_ways<T: Debug>(
    size: u32,
    expected: &[Uuid],
    read: impl AsyncFn(Window) -> Page<T>,
    position: impl Fn(&T) -> Position,
    id: impl Fn(&T) -> Uuid,
) {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = read(Window { limit: size, end: End::First, after: after.clone(), before: None }).await;
        assert!(page.rows.len() <= size as usize);
        assert_eq!(page.has_previous, after.is_some());
        found.extend(page.rows.iter().map(&id));
        assert_eq!(page.has_next, found.len() < expected.len(), "{size}: {} of {}", found.len(), expected.len());
        after = page.rows.last().map(&position);
        if !page.has_next {
            break;
        }
    }
    assert_eq!(found, expected, "forwards by {size}");

    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = read(Window { limit: size, end: End::Last, after: None, before: before.clone() }).await;
        assert_eq!(page.has_next, before.is_some());
        found.extend(page.rows.iter().rev().map(&id));
        assert_eq!(page.has_previous, found.len() < expected.len());
        before = page.rows.first().map(&position);
        if !page.has_previous {
            break;
        }
    }
    found.reverse();
    assert_eq!(found, expected, "backwards by {size}");
}
