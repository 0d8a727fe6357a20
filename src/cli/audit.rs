use clap::Args;

use super::{CommandError, Exit, Screen};

#[derive(Debug, Args)]
pub(super) struct AuditArgs {}

pub(super) fn run(_: &AuditArgs, _: &mut Screen<'_>) -> Result<Exit, CommandError> {
    Ok(Exit::Fine)
}
