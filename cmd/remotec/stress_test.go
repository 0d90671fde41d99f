package main

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var stress = flag.Int("stress", 3, "how often each program of TestStress is run in each way")

// TestStress runs a TCP echo and an HTTP program many times in a row while
// all CPUs are busy: a lost event of a descriptor shows as a hang. The stacks
// of a program that hangs, and of its server, are printed.
func TestStress(t *testing.T) {
	dir := t.TempDir()
	prog := buildProgram(t, dir, "stress", true)
	for range runtime.GOMAXPROCS(0) {
		load := exec.Command(buildProgram(t, dir, "busy", false))
		if err := load.Start(); err != nil {
			t.Fatal(err)
		}
		defer load.Wait()
		defer load.Process.Kill()
	}
	for _, hand := range []bool{true, false} {
		for _, what := range []string{"echo", "http"} {
			t.Run(what+"/hand="+strconv.FormatBool(hand), func(t *testing.T) {
				for n := range *stress {
					start := time.Now()
					out, ok := finishes(t, "remotec", "run", "-hand="+strconv.FormatBool(hand), prog, what)
					if !ok {
						t.Fatalf("run %d, after %v:\n%s", n, time.Since(start), out)
					}
				}
			})
		}
	}
}

// finishes runs a command that says "done" at its end. One that does not
// within a minute is asked for the stacks of its processes.
func finishes(t *testing.T, name string, args ...string) (output string, ok bool) {
	cmd := exec.Command(name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := false
	alarm := time.AfterFunc(time.Minute, func() {
		late = true
		// The server passes SIGQUIT on: the program prints its stacks first.
		for _, pid := range append(childrenOf(cmd.Process.Pid), cmd.Process.Pid) {
			syscall.Kill(pid, syscall.SIGQUIT)
			time.Sleep(2 * time.Second)
		}
		// That of the server's own goroutines, if it is still there.
		syscall.Kill(cmd.Process.Pid, syscall.SIGABRT)
		time.Sleep(2 * time.Second)
		cmd.Process.Kill()
	})
	err := cmd.Wait()
	alarm.Stop()
	return out.String(), err == nil && !late && strings.HasSuffix(out.String(), "done\n")
}

// childrenOf lists the children of a process.
func childrenOf(pid int) (list []int) {
	tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	for _, name := range tasks {
		b, _ := os.ReadFile(name)
		for word := range strings.FieldsSeq(string(b)) {
			if n, err := strconv.Atoi(word); err == nil {
				list = append(list, n)
			}
		}
	}
	return list
}
