//! Who calls and why: the bytes of a verified certificate and of a purpose token, read strictly.
//!
//! Pure: no socket, file or clock. That a certificate chains to a trusted root, is not revoked and
//! belongs to the peer is proved by `tls` before its bytes come here; that a token is signed, in
//! force and bound to the certificate is proved here.
//!
//! INVARIANT: whatever cannot be read as exactly one meaning names nobody.

pub mod certificate;
pub mod peer;
pub mod revocation;
pub mod systems;
pub mod token;

pub use certificate::CertificateFacts;
pub use peer::{Peer, Presented};
pub use systems::{Identities, IdentityError};
pub use token::{PurposeToken, TokenError, TokenVerifier};
