mod conformance;
mod differential;
