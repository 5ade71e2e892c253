//! What a front end is told about the kernel.

use super::wire::PROTOCOL;
use serde_json::{Value, json};

/// The content of a `kernel_info_reply`.
pub fn info() -> Value {
    let version = env!("CARGO_PKG_VERSION");
    json!({
        "status": "ok",
        "protocol_version": PROTOCOL,
        "implementation": "mlx-repl",
        "implementation_version": version,
        "language_info": {
            "name": "rhai",
            "version": "1.27",
            "mimetype": "text/x-rhai",
            "file_extension": ".rhai",
            // No front end knows Rhai. Rust is nearest, but where it is edited: that mode takes a `#` for
            // an attribute's, and all that follows for part of it.
            "pygments_lexer": "rust",
            "codemirror_mode": "javascript",
        },
        "banner": format!("mlx-repl {version}: Rhai scripts over MLX"),
        "help_links": [{"text": "The Rhai book", "url": "https://rhai.rs/book"}],
        "debugger": false,
        "supported_features": [],
    })
}
