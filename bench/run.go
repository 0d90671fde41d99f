package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"remotec.dev/bench/programs/measure"
)

// runLimit bounds one run of one program.
const runLimit = 2 * time.Minute

// samples are the samples of each series in the order of the rounds, in the
// units of the measures.
type samples map[series][]sample

type sample struct {
	value float64
	unit  string
}

// bench is one run of this command.
type bench struct {
	root    string // of the module
	dir     string // for what is built, removed at the end
	tool    string // the remotec command
	file    string // what program stream reads
	samples samples
}

// task is a program, or what else is measured once in a round for each
// variant.
type task struct {
	variants []variant
	run      func(variant) error
}

// measure takes the samples of rows.
func (b *bench) measure(rows []row, rounds int) error {
	buildRounds := (rounds + 2) / 3
	tasks := b.tasks(rows)
	if len(tasks) == 0 {
		rounds = 0 // builds only
	} else if err := b.buildPrograms(); err != nil {
		return err
	} else if len(needs(rows, "peers")) > 0 {
		if _, err := goCommand(filepath.Join(b.root, "bench", "peers"), nil, "build", "-o", filepath.Join(b.dir, "plain")+"/", "."); err != nil {
			return err
		}
	}
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, rounds)
		for _, t := range tasks {
			variants := slices.Clone(t.variants)
			if round%2 == 1 {
				slices.Reverse(variants)
			}
			for _, v := range variants {
				if err := t.run(v); err != nil {
					return err
				}
			}
		}
	}
	if len(needs(rows, "build")) > 0 {
		return b.builds(buildRounds)
	}
	return nil
}

// tasks lists what rows need.
func (b *bench) tasks(rows []row) (tasks []task) {
	add := func(run func(variant) error, measures ...string) {
		if v := needs(rows, measures...); len(v) > 0 {
			tasks = append(tasks, task{v, run})
		}
	}
	program := func(name string) func(variant) error {
		return func(v variant) error { return b.program(v, name) }
	}
	add(program("cpu"), "cpu")
	add(program("alloc"), "alloc")
	add(program("sched"), "chan", "select", "go", "mutex")
	add(func(v variant) error { return b.accounts(v, rows) }, "account")
	add(b.startUp, "startup")
	// Neighbours, since rows compare one with the other.
	add(program("oscalls"), "os")
	add(program("roundtrip"), "roundtrip")
	add(program("apart"), "apart")
	add(program("userfault"), "userfault")
	add(program("moves"), "moves")
	add(b.drain, "drain")
	add(b.retire, "retire")
	add(program("stdout"), "stdout")
	add(program("spawn"), "spawn")
	add(b.stream, "stream")
	add(b.network, "http", "echo")
	add(program("peers"), "peers")
	add(program("parallel"), "parallel")
	add(program("placed"), "placed")
	add(program("pair"), "pair")
	return tasks
}

// buildPrograms builds the programs, plain and remote.
func (b *bench) buildPrograms() error {
	for v, flags := range map[variant][]string{plain: nil, remote: {"-toolexec=" + b.tool}} {
		args := append([]string{"build"}, flags...)
		args = append(args, "-o", filepath.Join(b.dir, string(v))+"/", "./bench/programs/...")
		if _, err := goCommand(b.root, nil, args...); err != nil {
			return err
		}
	}
	return nil
}

// command returns the command that runs a program in a variant.
func (b *bench) command(ctx context.Context, v variant, name string, args ...string) *exec.Cmd {
	path := filepath.Join(b.dir, "remote", name)
	switch v {
	case plain, plainOneP, plainTwoP:
		args = append([]string{filepath.Join(b.dir, "plain", name)}, args...)
	case remote, accounted:
		args = append([]string{b.tool, "run", path}, args...)
	case forwarded:
		args = append([]string{b.tool, "run", "-hand=false", path}, args...)
	case oneP:
		args = append([]string{b.tool, "run", path}, args...)
	case moving:
		args = append([]string{b.tool, "run", "-n", "2", "-placement", "local", "-chaos", "migrate=2ms", path}, args...)
	case two, twoP:
		args = append([]string{b.tool, "run", "-n", "2", "-placement", "spread", path}, args...)
	case local, balance:
		args = append([]string{b.tool, "run", "-n", "2", "-placement", string(v), path}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	switch v {
	case plainOneP, oneP, twoP, local, balance, accounted:
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	case plainTwoP:
		cmd.Env = append(os.Environ(), "GOMAXPROCS=2")
	}
	cmd.WaitDelay = time.Second
	return cmd
}

// program runs a program that prints its measures itself.
func (b *bench) program(v variant, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	defer cancel()
	return b.read(v, name, b.command(ctx, v, name, args...))
}

// accounts runs a process for each measure with and without accounts.
func (b *bench) accounts(v variant, rows []row) error {
	for _, r := range rows {
		what, ok := strings.CutPrefix(r.what.measure, "account/")
		if !ok {
			continue
		}
		program, _, _ := strings.Cut(what, "/")
		if program != "cpu" && program != "alloc" {
			program = "sched"
		}
		ctx, cancel := context.WithTimeout(context.Background(), runLimit)
		cmd := b.command(ctx, v, program)
		cmd.Env = append(cmd.Environ(), measure.Accounting+"="+what+":"+b.tool)
		err := b.read(v, program, cmd)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// read runs a program and takes its measures from what it prints.
func (b *bench) read(v variant, name string, cmd *exec.Cmd) error {
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("running %s, %s: %w", name, v, err)
	}
	got := 0
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		// What else the program prints has no three words.
		f := strings.Fields(lines.Text())
		if len(f) != 3 {
			continue
		}
		value, err := strconv.ParseFloat(f[1], 64)
		if err != nil {
			return fmt.Errorf("running %s, %s: %q is no measure", name, v, lines.Text())
		}
		b.add(v, f[0], value, f[2])
		got++
	}
	if got == 0 {
		return fmt.Errorf("running %s, %s: no measures in its output", name, v)
	}
	return nil
}

func (b *bench) add(v variant, measure string, value float64, unit string) {
	s := series{v, measure}
	b.samples[s] = append(b.samples[s], sample{value, unit})
}

// startUp takes the wall time of program hello from start to end: the median
// of several runs, because one is short.
func (b *bench) startUp(v variant) error {
	var took [7]time.Duration
	for i := range took {
		ctx, cancel := context.WithTimeout(context.Background(), runLimit)
		start := time.Now()
		err := b.command(ctx, v, "hello").Run()
		took[i] = time.Since(start)
		cancel()
		if err != nil {
			return fmt.Errorf("running hello, %s: %w", v, err)
		}
	}
	slices.Sort(took[:])
	b.add(v, "startup", float64(took[len(took)/2]), "ns")
	return nil
}

// streamSize is the size in bytes of the file that program stream reads.
const streamSize = 256 << 20

func (b *bench) stream(v variant) error {
	if b.file == "" {
		name := filepath.Join(b.dir, "streamed")
		if err := os.WriteFile(name, make([]byte, streamSize), 0o666); err != nil {
			return err
		}
		b.file = name
	}
	return b.program(v, "stream", b.file)
}
