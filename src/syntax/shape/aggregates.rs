//! Names of PostgreSQL's aggregates.

/// Whether a function, in lower case, is an aggregate.
pub(super) fn is_aggregate(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "any_value",
        "array_agg",
        "avg",
        "bit_and",
        "bit_or",
        "bool_and",
        "bool_or",
        "corr",
        "count",
        "every",
        "json_agg",
        "json_arrayagg",
        "json_object_agg",
        "json_objectagg",
        "jsonb_agg",
        "jsonb_object_agg",
        "max",
        "min",
        "mode",
        "percentile_cont",
        "percentile_disc",
        "range_agg",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "string_agg",
        "sum",
        "var_pop",
        "var_samp",
        "variance",
        "xmlagg",
    ];
    NAMES.contains(&name)
}
