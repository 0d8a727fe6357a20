mod changed;
pub(crate) mod city;
mod decisions;
pub(crate) mod differential;
mod files;
mod generated;
