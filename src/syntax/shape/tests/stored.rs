//! Texts that real servers stored: every one is read, and by both readers alike.

use super::*;

/// Distinct texts that real servers stored; the first piece says where they are from.
fn stored(file: &'static str) -> Vec<&'static str> {
    file.trim_end().split("\n----\n").skip(1).collect()
}

/// docs/queries.md states these figures.
#[test]
fn the_grammar_takes_what_servers_store() {
    for (name, file, count) in [
        (
            "orm",
            include_str!("../../../../tests/fixtures/statements/orm.sql"),
            252,
        ),
        (
            "postgres",
            include_str!("../../../../tests/fixtures/statements/postgres.sql"),
            225,
        ),
    ] {
        let texts = stored(file);
        assert_eq!(texts.len(), count, "{name}");
        let refused: Vec<&str> = texts
            .into_iter()
            .filter(|text| !read(text).parsed)
            .collect();
        assert!(refused.is_empty(), "{name}: {refused:#?}");
    }
}

/// docs/queries.md states the figure: no text is an exception. One that becomes one is to be checked by hand, and to
/// be listed here with the reason.
#[test]
fn both_readers_agree_on_what_servers_store() {
    let files = [
        include_str!("../../../../tests/fixtures/statements/orm.sql"),
        include_str!("../../../../tests/fixtures/statements/postgres.sql"),
    ];
    let mut compared = 0;
    for text in files.into_iter().flat_map(stored) {
        let (shape, skimmed) = (read(text), skim(text));
        assert!(shape.parsed, "{text}");
        assert_eq!(shape.kind, skimmed.kind, "{text}");
        assert_eq!(shape.tables, skimmed.tables, "{text}");
        assert_eq!(shape.joins, skimmed.joins, "{text}");
        assert_eq!(shape.equalities, skimmed.equalities, "{text}");
        assert_eq!(shape.limit, skimmed.limit, "{text}");
        compared += 1;
    }
    assert_eq!(compared, 477);
}

#[test]
fn every_orm_text_has_its_tables_and_nothing_that_is_not_understood() {
    for text in stored(include_str!(
        "../../../../tests/fixtures/statements/orm.sql"
    )) {
        let shape = read(text);
        let data = !matches!(
            shape.kind,
            StatementKind::Transaction | StatementKind::Utility
        );
        // `select pg_catalog.version()` has none.
        let from = text.to_lowercase().contains("from ") || shape.kind != StatementKind::Select;
        assert_eq!(!shape.tables.is_empty(), data && from, "{text}");
        assert_eq!(shape.other_conditions, 0, "{text}");
        let all = shape.equalities.iter().map(|one| &one.column);
        for column in all.chain(shape.joins.iter().flat_map(|(one, other)| [one, other])) {
            // Two tables and no qualifier, or a query's alias: nothing else is uncertain.
            let certain = column.table.is_some()
                || text.contains("typnamespace")
                || text.contains("distinctAlias");
            assert!(certain, "{text}: {column:?}");
        }
        let bound = text.contains('$') && text.to_lowercase().contains("where");
        let tautology = shape.limit || shape.offset;
        assert!(
            !bound || !shape.equalities.is_empty() || tautology,
            "{text}"
        );
    }
}
