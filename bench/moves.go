package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// drained is how many goroutines are moved off a process at once.
const drained = 10_000

// drain takes the time for each of many goroutines that wait, when their process is drained.
func (b *bench) drain(v variant) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.tool, "run", "-n", "2", "-placement", "local", filepath.Join(b.dir, "remote", "moves"), fmt.Sprint(drained))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	var word string
	if _, err := fmt.Fscanln(out, &word); err != nil || word != "ready" {
		return fmt.Errorf("running moves: got %q: %w", word, err)
	}
	said, err := exec.CommandContext(ctx, b.tool, "drain", "-keep", "-session", fmt.Sprint(cmd.Process.Pid), "0").CombinedOutput()
	var moved int
	var in, took string
	if n, _ := fmt.Sscanf(string(said), "%d goroutines moved %s %s", &moved, &in, &took); err != nil || n != 3 || moved < drained {
		return fmt.Errorf("draining process 0 of moves: %w\n%s", err, said)
	}
	d, err := time.ParseDuration(took)
	if err != nil {
		return err
	}
	b.add(v, "drain", float64(d)/float64(moved), "ns")
	return nil
}
