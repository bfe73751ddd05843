"""One file per backend language: claude (stream-json), codex (app-server), acp (gemini, opencode, ...)."""
