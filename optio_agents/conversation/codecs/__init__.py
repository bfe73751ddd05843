"""One file per backend protocol: claude (stream-json), codex (app-server), acp (gemini, opencode, ...)."""
