package server

func serveSession(cfg Config, args []string) error { return nil }
