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
func (b *bench) drain(v variant) error {
	said, err := b.drainMoves("-keep", 0)
	if err != nil {
		return err
	}
	var moved int
	var in, took string
	fmt.Sscanf(said, "%d goroutines moved %s %s", &moved, &in, &took)
	d, err := time.ParseDuration(took)
	if err != nil || moved < drained {
		return fmt.Errorf("draining process 0 of moves: %q", said)
	}
	b.add(v, "drain", float64(d)/float64(moved), "ns")
	return nil
}

// retire takes the time from when somebody asks a process with many goroutines in all states to be drained until it
// has ended, and until its goroutines have left.
func (b *bench) retire(v variant) error {
	said, err := b.drainMoves("-keep=false", 1)
	if err != nil {
		return err
	}
	var moved, process int
	var left, gone string
	n, err := fmt.Sscanf(said, "%d goroutines moved in %s\nprocess %d is gone after %s", &moved, &left, &process, &gone)
	if err != nil || n != 4 || moved < drained {
		return fmt.Errorf("draining process 1 of moves: %q", said)
	}
	for measure, text := range map[string]string{"retire/left": left, "retire/gone": gone} {
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("draining process 1 of moves: %q", said)
		}
		b.add(v, measure, float64(d), "ns")
	}
	return nil
}

// drainMoves has program moves start many goroutines in a process, drains it, and returns what remotec says.
func (b *bench) drainMoves(flag string, process int) (said string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.tool, "run", "-n", "2", "-placement", "local", filepath.Join(b.dir, "remote", "moves"), fmt.Sprint(drained), fmt.Sprint(process))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	var word string
	if _, err := fmt.Fscanln(out, &word); err != nil || word != "ready" {
		return "", fmt.Errorf("running moves: got %q: %w", word, err)
	}
	text, err := exec.CommandContext(ctx, b.tool, "drain", flag, "-session", fmt.Sprint(cmd.Process.Pid), fmt.Sprint(process)).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("draining process %d of moves: %w\n%s", process, err, text)
	}
	return string(text), nil
}
