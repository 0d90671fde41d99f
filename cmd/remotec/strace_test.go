package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// own says which system calls of a remote binary's process are the runtime's
// and the stub's own. A call that is not listed, or whose arguments do not
// match, was meant for the server.
var own = map[string]struct {
	args   string // regular expression for the arguments
	reason string
}{
	"execve":            {`PROG`, "the start"},
	"arch_prctl":        {``, "the thread pointer"},
	"set_robust_list":   {``, "threads"},
	"set_tid_address":   {``, "threads"},
	"rseq":              {``, "threads"},
	"clone":             {`CLONE_THREAD`, "threads; a child would lack the flag"},
	"clone3":            {`CLONE_THREAD`, "threads"},
	"gettid":            {``, "threads"},
	"exit":              {``, "threads"},
	"exit_group":        {``, "the end"},
	"futex":             {``, "the scheduler, and waiting for a ring"},
	"nanosleep":         {``, "the scheduler"},
	"restart_syscall":   {``, "the kernel's, after a signal"},
	"sched_yield":       {``, "the scheduler, spin locks"},
	"sched_getaffinity": {``, "the number of CPUs"},
	"getcpu":            {``, "whether to spin for a ring"},
	"getpid":            {``, "preemption; counted below"},
	"tgkill":            {`SIGURG|SIGUSR1`, "preemption, and the signal that the server passed on"},
	"kill":              {`SIGUSR1`, "the signal that the server passed on"},
	"rt_sigaction":      {``, "the runtime's handlers"},
	"rt_sigprocmask":    {``, "threads, and time limits of the attach"},
	"rt_sigreturn":      {``, "handlers"},
	"sigaltstack":       {``, "threads"},
	"mmap":              {`MAP_ANONYMOUS|MAP_FIXED|MAP_SHARED, [0-9]+, 0`, "memory, rings"},
	"munmap":            {``, "memory"},
	"madvise":           {``, "memory"},
	"mprotect":          {``, "memory"},
	"brk":               {``, "memory"},
	"mincore":           {``, "memory"},
	"prctl":             {`PR_SET_VMA|PR_GET_PDEATHSIG`, "names of mappings; how the program was started"},
	"prlimit64":         {`RLIMIT_(NOFILE|STACK)`, "room for links"},
	"timer_create":      {``, "profiling"},
	"memfd_create":      {`"remotec"`, "a ring"},
	"ftruncate":         {``, "a ring"},
	"fcntl":             {`F_(GETFD|GETFL|SETFD|SETFL|DUPFD_CLOEXEC|ADD_SEALS)`, "standard streams at the start, a ring"},
	"openat":            {`"/proc/self/exe"|"/dev/null"|"\."|"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"|"/proc/self/(cgroup|mountinfo|maps)"|"/sys/fs/cgroup/|/token`, "the build ID; the directory for the session; memory and CPU limits for the runtime"},
	"readlinkat":        {`"/proc/self/exe"`, "the path in the attach"},
	"getcwd":            {``, "the directory in the attach; counted below"},
	"umask":             {``, "the umask in the attach; counted below"},
	"getuid":            {``, "the place of the token; counted below"},
	"socket":            {`AF_UNIX`, "the connection; counted below"},
	"connect":           {`SOCK`, "the connection"},
	"setsockopt":        {`SO_(RCV|SND)TIMEO`, "time limits of the attach"},
	"socketpair":        {`AF_UNIX`, "links"},
	"sendmsg":           {``, "the connection: links"},
	"recvmsg":           {``, "the connection: replies and events"},
	"write":             {``, "the connection, wake-ups; the program has no descriptors here"},
	"read":              {``, "the connection, wake-ups; the program has no descriptors here"},
	"sendto":            {`MSG_NOSIGNAL, NULL, 0`, "the connection"},
	"pread64":           {``, "CPU limits for the runtime; the program has no descriptors here"},
	"close":             {``, "links"},
	"dup3":              {`, [01], 0`, "standard streams at the start"},
	"eventfd2":          {``, "the runtime's poller"},
	"epoll_create1":     {``, "the runtime's poller"},
	"epoll_ctl":         {`EPOLL_CTL_ADD`, "the runtime's poller: its own wake-up; counted below"},
	"epoll_pwait":       {``, "the runtime's poller"},
}

// once lists calls that the attach makes, and how often.
var once = map[string]int{"getcwd": 1, "umask": 2, "getuid": 1, "socket": 1, "connect": 1, "epoll_ctl": 1, "execve": 1}

// TestNoUserSystemCalls runs a program that uses files, sockets, children and
// signals under strace: none of its calls is made by its own process.
func TestNoUserSystemCalls(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	if out, err := exec.Command(strace, "-f", "-o", "/dev/null", "true").CombinedOutput(); err != nil {
		t.Skipf("strace does not work here: %v: %s", err, out)
	}
	dir := t.TempDir()
	prog := buildProgram(t, dir, "tracee", true)
	sock := filepath.Join(dir, "sock")
	serve(t, "unix:"+sock, "-hand=false")

	trace := filepath.Join(dir, "trace")
	cmd := exec.Command(strace, "-f", "-qq", "-s", "200", "-o", trace, prog, "-go.remote=unix:"+sock)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "done\n") {
		t.Fatalf("%v\n%s", err, out)
	}

	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	call := regexp.MustCompile(`^\d+ +([a-z0-9_]+)\((.*)`)
	places := strings.NewReplacer("PROG", regexp.QuoteMeta(prog), "SOCK", regexp.QuoteMeta(sock))
	counts := map[string]int{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		m := call.FindStringSubmatch(lines.Text())
		if m == nil {
			continue // the rest of a call, a signal, an end
		}
		name, args := m[1], m[2]
		counts[name]++
		allowed, ok := own[name]
		if !ok || !regexp.MustCompile(places.Replace(allowed.args)).MatchString(args) {
			t.Errorf("made by the program's process: %s", lines.Text())
		}
	}
	for name, n := range once {
		if counts[name] > n {
			t.Errorf("%s was called %d times by the program's process, %d by the attach", name, counts[name], n)
		}
	}
	if spare := counts["getpid"] - counts["tgkill"]; spare > 20 {
		t.Errorf("getpid was called %d times beside those for preemption", spare)
	}
	for _, name := range []string{"execve", "sendmsg", "mmap"} {
		if counts[name] == 0 {
			t.Errorf("no %s in the trace: it cannot be a whole one", name)
		}
	}
}

// buildProgram builds a program of testdata, and returns its path.
func buildProgram(t *testing.T, dir, name string, remote bool) string {
	t.Helper()
	prog := filepath.Join(dir, name)
	args := []string{"build", "-o", prog}
	if remote {
		args = append(args, "-toolexec=remotec")
	}
	cmd := exec.Command("go", append(args, "./testdata/"+name)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // the calls of libc are no business of these tests
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", name, err, out)
	}
	return prog
}

// serve starts remotec serve for the time of the test, and returns its
// address.
func serve(t *testing.T, listen string, flags ...string) (addr string) {
	t.Helper()
	cmd := exec.Command("remotec", append([]string{"serve", "-listen", listen}, flags...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		kill.Stop()
	})
	if _, err := fmt.Fscanf(out, "listening on %s\n", &addr); err != nil {
		t.Fatalf("remotec serve: %v", err)
	}
	return addr
}
