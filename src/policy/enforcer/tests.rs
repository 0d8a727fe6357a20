mod behaviour;
mod conformance;
mod differential;
