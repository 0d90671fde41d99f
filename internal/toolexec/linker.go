package toolexec

import "os"

func linkerVersion() string { return "plain" }

func (inv *invocation) ensureLinker(goVersion string) (string, error) {
	if p := os.Getenv("REMOTEC_PLAINLINK"); p != "" {
		return p, nil
	}
	return inv.tool, nil
}

func checkLinked(path string) error { return nil }
