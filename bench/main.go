// Bench measures what a remote binary costs against the plain binary of the
// same program:
//
//	go run ./bench [-rounds N] [-only REGEX] [-build] [-md]
//
// Vocabulary: a *program* is a package in bench/programs; a *variant* is a way
// to run it: plain, remote, or forwarded, which is remote with no descriptor
// handed over; a *sample* is one measure of one run; a *row* compares two
// series of samples and has a target.
//
// A round runs every program once in each of its variants, one right after the
// other, and every second round runs them in reverse order. A row's ratio is
// the median over rounds of the ratio within a round: load that comes and goes
// hits both sides of it. The values beside it are medians on their own, so
// their quotient can differ from the ratio a little.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

func main() {
	var o options
	var only string
	flag.IntVar(&o.rounds, "rounds", 9, "how often each program runs in each variant")
	flag.StringVar(&only, "only", "", "measure only rows whose name matches this `regexp`")
	flag.BoolVar(&o.build, "build", false, "measure go build too, which takes minutes")
	flag.BoolVar(&o.markdown, "md", false, "print the table as Markdown and put it into README.md")
	flag.StringVar(&o.tool, "tool", "", "use this remotec `command` instead of building it")
	flag.Parse()
	if err := o.run(only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	rounds          int
	only            *regexp.Regexp
	build, markdown bool
	tool            string
}

func (o *options) run(only string) (err error) {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if o.rounds < 1 {
		return fmt.Errorf("-rounds %d: at least 1", o.rounds)
	}
	if o.markdown && only != "" {
		return fmt.Errorf("-md with -only would replace the table by a part of it")
	}
	if o.only, err = regexp.Compile(only); err != nil {
		return err
	}
	root, err := goCommand("", nil, "list", "-m", "-f", "{{.Dir}}", "remotec.dev")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{root: strings.TrimSpace(root), dir: dir, tool: o.tool, samples: samples{}}
	if b.tool == "" {
		b.tool = filepath.Join(dir, "remotec")
		if _, err := goCommand(b.root, nil, "build", "-o", b.tool, "./cmd/remotec"); err != nil {
			return err
		}
	} else if b.tool, err = exec.LookPath(o.tool); err != nil {
		return err
	} else if b.tool, err = filepath.Abs(b.tool); err != nil {
		return err
	}
	rows := selected(o.only, o.build)
	if len(rows) == 0 {
		return fmt.Errorf("-only %s: no such row", only)
	}
	before := loadAverage()
	if err := b.measure(rows, o.rounds); err != nil {
		return err
	}
	c := conditions(o.rounds, before, loadAverage())
	if o.markdown {
		table := markdown(rows, b.samples, c)
		fmt.Print(table)
		return replaceTable(filepath.Join(b.root, "README.md"), table)
	}
	printTable(os.Stdout, rows, b.samples, c)
	return nil
}

// goCommand runs the go command in dir, with env added to the environment,
// and returns its output.
func goCommand(dir string, env []string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out), nil
}
