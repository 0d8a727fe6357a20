//! What a body may not exceed: [`Bounds`].

/// What a body may not exceed. Only values that are masked and names that are compared are held in
/// memory; everything else may be of any length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The most containers inside one another. A body that is deeper is refused.
    pub depth: usize,
    /// The longest name that is compared, in bytes as written. A body with a longer one is refused.
    pub key: usize,
    /// The longest value that is masked, in bytes as written. A longer one is masked fully.
    pub value: usize,
    /// The most white space that is held between two members, in bytes. A body with more is refused.
    pub space: usize,
    /// The most records, if there is a cap. A body with more is refused.
    pub records: Option<u64>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { depth: 128, key: 1 << 10, value: 64 << 10, space: 16 << 10, records: None }
    }
}
