//! Rows of the queries on replication, as what they say.

use anyhow::Result;

use super::lsn::Lsn;
use super::model::{Conflicts, Holder, NodeRow, Receiver, Sender, Slot, Subscription};
use super::rate::Checkpoint;
use crate::sample::bundle::Fields;

fn lsn(row: &Fields, column: &str) -> Result<Option<Lsn>> {
    row.get::<Option<String>>(column)?
        .map(|text| text.parse().map_err(anyhow::Error::msg))
        .transpose()
}

pub(super) fn node_row(row: &Fields) -> Result<NodeRow> {
    let timeline: Option<String> = row.get("timeline_hex")?;
    Ok(NodeRow {
        version_num: 0,
        version: row.get("version")?,
        role: row.get("role")?,
        reads_all_stats: row.get("reads_all_stats")?,
        system_identifier: row.get("system_identifier")?,
        timeline: timeline.and_then(|hex| u32::from_str_radix(&hex, 16).ok()),
        commit_age_s: row.get("commit_age")?,
        paused: row.get("pause_requested")?,
        pause_state: row.get("pause_state")?,
        segment_bytes: row.get("segment_bytes")?,
        status_interval_s: row.get("status_interval_s")?,
        apply_delay_ms: row.get("apply_delay_ms")?,
        restores: row.get("restores")?,
        feedback: row.get("feedback")?,
        synchronous_names: row.get("synchronous_names")?,
        slot_keep_mb: row.get("slot_keep_mb")?,
        sync_waiting: row.get("sync_waiting")?,
        sync_waiting_s: row.get("sync_waiting_s")?,
    })
}

pub(super) fn sender(row: &Fields) -> Result<Sender> {
    Ok(Sender {
        pid: row.get("pid")?,
        application_name: row.get("application_name")?,
        client_address: row.get("client_address")?,
        state: row.get("state")?,
        sent: lsn(row, "sent")?,
        written: lsn(row, "written")?,
        flushed: lsn(row, "flushed")?,
        replayed: lsn(row, "replayed")?,
        write_lag_s: row.get("write_lag_s")?,
        flush_lag_s: row.get("flush_lag_s")?,
        replay_lag_s: row.get("replay_lag_s")?,
        sync_priority: row.get("sync_priority")?,
        sync_state: row.get("sync_state")?,
        reply_age_s: row.get("reply_age_s")?,
        slot_name: row.get("slot_name")?,
        slot_type: row.get("slot_type")?,
    })
}

pub(super) fn receiver(row: &Fields) -> Result<Receiver> {
    Ok(Receiver {
        pid: row.get("pid")?,
        status: row.get("status")?,
        timeline: row.get("timeline")?,
        flushed: lsn(row, "flushed")?,
        sender_end: lsn(row, "sender_end")?,
        message_age_s: row.get("message_age_s")?,
        slot_name: row.get("slot_name")?,
        sender_host: row.get("sender_host")?,
        sender_port: row.get("sender_port")?,
        application_name: row.get("application_name")?,
    })
}

pub(super) fn slot(row: &Fields) -> Result<Slot> {
    Ok(Slot {
        name: row.get("name")?,
        kind: row.get("kind")?,
        plugin: row.get("plugin")?,
        database: row.get("database_name")?,
        temporary: row.get("temporary")?,
        active: row.get("active")?,
        active_pid: row.get("active_pid")?,
        xmin_age: row.get("xmin_age")?,
        catalog_xmin_age: row.get("catalog_xmin_age")?,
        restart: lsn(row, "restart")?,
        confirmed: lsn(row, "confirmed")?,
        wal_status: row.get("wal_status")?,
        safe_bytes: row.get("safe_bytes")?,
        conflicting: row.get("conflicting")?,
        inactive_s: row.get("inactive_s")?,
        invalidation: row.get("invalidation")?,
        failover: row.get("failover")?,
        synced: row.get("synced")?,
    })
}

pub(super) fn subscription(row: &Fields) -> Result<Subscription> {
    Ok(Subscription {
        name: row.get("name")?,
        database: row.get("database_name")?,
        enabled: row.get("enabled")?,
        slot_name: row.get("slot_name")?,
        pid: row.get("pid")?,
        received: lsn(row, "received")?,
        reported: lsn(row, "reported")?,
        message_age_s: row.get("message_age_s")?,
        apply_errors: row.get("apply_errors")?,
        sync_errors: row.get("sync_errors")?,
        conflicts: row.get("conflicts")?,
    })
}

pub(super) fn conflicts(row: &Fields) -> Result<Conflicts> {
    Ok(Conflicts {
        tablespace: row.get("tablespace")?,
        lock: row.get("lock")?,
        snapshot: row.get("snapshot")?,
        bufferpin: row.get("bufferpin")?,
        deadlock: row.get("deadlock")?,
        logical_slot: row.get("logical_slot")?,
    })
}

pub(super) fn holder(row: &Fields) -> Result<Holder> {
    Ok(Holder {
        kind: row.get("kind")?,
        name: row.get("name")?,
        pid: row.get("pid")?,
        xids: row.get("xids")?,
        seconds: row.get("seconds")?,
    })
}

pub(super) fn checkpoint(row: &Fields) -> Result<Checkpoint> {
    Ok(Checkpoint {
        bytes: row.get("bytes")?,
        age_s: row.get("checkpoint_age")?,
        start_age_s: row.get("start_age")?,
    })
}

/// The position of a primary.
pub(super) fn flushed(row: &Fields) -> Result<Option<Lsn>> {
    lsn(row, "flushed")
}
