package toolexec

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"remotec.dev/internal/instrument"
	"remotec.dev/internal/linker"
)

// link runs remotec's linker on the archives of the build and the stub's.
func (inv *invocation) link() error {
	args, err := expand(inv.args)
	if err != nil {
		return err
	}
	if err := refuseTool(inv.name, args); err != nil {
		return err
	}
	out, cfg := value(args, "-o"), value(args, "-importcfg")
	if out == "" || cfg == "" {
		return fmt.Errorf("linking: the link command has no -o or no -importcfg; remotec is meant to be started by the go command: go build -toolexec=remotec")
	}
	goVersion, err := inv.goVersion()
	if err != nil {
		return err
	}
	if _, ok := instrument.Release(goVersion); !ok {
		return &instrument.UnsupportedError{GoVersion: goVersion}
	}
	newcfg, err := inv.importcfg(cfg, filepath.Dir(cfg), goVersion)
	if err != nil {
		return err
	}
	link, err := inv.ensureLinker(goVersion)
	if err != nil {
		return err
	}
	cmd := exec.Command(link, setValue(args, "-importcfg", newcfg)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		os.Remove(out)
		return err
	}
	if err := linker.Check(out); err != nil {
		os.Remove(out)
		return err
	}
	return nil
}

// importcfg writes the link's importcfg with the stub's packages added, and
// returns its name.
func (inv *invocation) importcfg(cfg, dir, goVersion string) (string, error) {
	data, err := os.ReadFile(cfg)
	if err != nil {
		return "", fmt.Errorf("linking: %w", err)
	}
	stub, err := inv.stubArchives(goVersion)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(stub) {
		name, _, _ := strings.Cut(line, "=")
		if strings.Contains(string(data), name+"=") {
			return "", fmt.Errorf("linking: the program imports %s, which only remotec may link in; use package remotec.dev/remote",
				strings.TrimPrefix(name, "packagefile "))
		}
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		data = append(data, '\n')
	}
	name := filepath.Join(dir, "importcfg.remotec")
	if err := os.WriteFile(name, append(data, stub...), 0o666); err != nil {
		return "", fmt.Errorf("linking: %w", err)
	}
	return name, nil
}
