package osys

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"remotec.dev/runtimestub/wire"
)

// spawnCall starts args with this process's standard streams.
func spawnCall(a *wire.SpawnAttr, args ...string) wire.Call {
	path, err := exec.LookPath(args[0])
	if err != nil {
		path = args[0]
	}
	return wire.Call{Nr: wire.NrSpawn, Blobs: wire.Blobs{
		[]byte(path), []byte(strings.Join(args, "\x00") + "\x00"), []byte("A=1\x00B=2\x00"), nil,
		{0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0}, wire.PutSpawnAttr(a)}}
}

// waitCall is wait4(pid, &status, options, NULL).
func waitCall(pid int, options uint64) wire.Call {
	return wire.Call{Nr: wire.SYS_WAIT4, Nulls: 1 << 3, Args: wire.Args{uint64(int64(pid)), 0, options}}
}

func waitidCall(kind, id int, options uint64) wire.Call {
	return wire.Call{Nr: wire.SYS_WAITID, Nulls: 1 << 4, Args: wire.Args{uint64(kind), uint64(id), 0, options}}
}

const wexited = 4

func TestSpawnAttrRoundTrip(t *testing.T) {
	a := wire.SpawnAttr{Chroot: "/x", HasCredential: true, Setsid: true, WantPidFD: true, UID: 1, GID: 2,
		Groups: []uint32{3, 4}, Ctty: -1, Pgid: 5, Pdeathsig: 9, CgroupFD: 7, Cloneflags: 1 << 40, Unshareflags: 2,
		UidMappings: []wire.IDMap{{ContainerID: 0, HostID: 1000, Size: 1}}, AmbientCaps: []uint64{21}}
	b := wire.PutSpawnAttr(&a)
	got, err := wire.GetSpawnAttr(b)
	if err != nil || fmt.Sprint(*got) != fmt.Sprint(a) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, a)
	}
	for n := range b {
		if _, err := wire.GetSpawnAttr(b[:n]); err == nil {
			t.Errorf("the first %d bytes of %d are accepted", n, len(b))
		}
	}
}

func init() {
	helpers["spawn"] = func(c *client) {
		call := spawnCall(&wire.SpawnAttr{WantPidFD: true}, "sh", "-c", "echo $A$B $PWD; exit 7")
		call.Blobs[3] = []byte("/usr")
		pid := c.must(call)
		pidfd := c.reply.R2
		c.must(waitidCall(pPidfd, int(pidfd), wexited|syscall.WNOWAIT))
		fmt.Println("pidfd", int(le32(c.reply.Blobs[2][16:])) == int(pid))
		r := c.must(waitCall(-1, 0))
		fmt.Println("wait", r == pid, syscall.WaitStatus(le32(c.reply.Blobs[1])).ExitStatus())
		_, e := c.do(waitCall(-1, 0))
		fmt.Println("none left", e == syscall.ECHILD)
		_, e = c.do(spawnCall(&wire.SpawnAttr{}, "/no/such/file"))
		fmt.Println("missing", e == syscall.ENOENT)
		_, e = c.do(spawnCall(&wire.SpawnAttr{Ptrace: true}, "true"))
		fmt.Println("ptrace", e == syscall.ENOSYS)
	}
	// The program's own process is a child too. It must stay out of every
	// wait for any child, ended or alive, and keep its status.
	helpers["hidden"] = func(c *client) {
		dead := exec.Command("sh", "-c", "exit 3")
		if err := dead.Start(); err != nil {
			panic(err)
		}
		c.os.(*passthrough).cfg.PID = dead.Process.Pid
		for _, call := range []wire.Call{waitCall(-1, 0), waitCall(0, 0), waitCall(dead.Process.Pid, 0),
			waitidCall(pAll, 0, wexited), waitidCall(pPid, dead.Process.Pid, wexited)} {
			_, e := c.do(call)
			fmt.Println(e == syscall.ECHILD)
		}
		pid := c.must(spawnCall(&wire.SpawnAttr{}, "sh", "-c", "sleep 0.1; exit 5"))
		r := c.must(waitCall(-1, syscall.WNOHANG))
		fmt.Println(r == 0)
		c.must(waitidCall(pAll, 0, wexited))
		fmt.Println(int(le32(c.reply.Blobs[2][16:])) == int(pid), le32(c.reply.Blobs[2][24:]) == 5)
		err := dead.Wait()
		fmt.Println(err)
	}
	// A wait for any child ends when another thread reaps the last one.
	helpers["reaped"] = func(c *client) {
		p := c.os.(*passthrough)
		keep := exec.Command("sleep", "60")
		if err := keep.Start(); err != nil {
			panic(err)
		}
		defer keep.Process.Kill()
		p.cfg.PID = keep.Process.Pid
		pid := int(c.must(spawnCall(&wire.SpawnAttr{}, "sleep", "60")))
		done := make(chan syscall.Errno)
		go func() {
			runtime.LockOSThread()
			other := &client{os: c.os, th: c.os.Thread(1), dst: make([]byte, 4096)}
			_, e := other.do(waitidCall(pPgid, 1<<20, wexited)) // no child in that group
			done <- e
			_, e = other.do(waitCall(-1, 0))
			done <- e
		}()
		fmt.Println(<-done == syscall.ECHILD)
		c.must(wire.Call{Nr: wire.SYS_KILL, Args: wire.Args{uint64(pid), 9}})
		for {
			// Whoever of the two comes first, nobody may be left waiting.
			r, e := c.do(waitCall(pid, syscall.WNOHANG))
			if e == syscall.ECHILD || int(r) == pid {
				break
			}
			time.Sleep(time.Millisecond)
		}
		e := <-done
		fmt.Println(e == 0 || e == syscall.ECHILD)
	}
	helpers["exec"] = func(c *client) {
		call := wire.Call{Nr: wire.SYS_EXECVE, Blobs: wire.Blobs{[]byte("/no/such"), []byte("x\x00"), {}}}
		_, e := c.do(call)
		fmt.Println(e == syscall.ENOENT)
		c.must(wire.Call{Nr: wire.NrSignal, Args: wire.Args{wire.SignalIgnore, uint64(syscall.SIGUSR1)}})
		c.must(wire.Call{Nr: wire.SYS_PIPE2, Args: wire.Args{1: syscall.O_CLOEXEC}})
		c.must(wire.Call{Nr: wire.NrPollOpen, Args: wire.Args{uint64(le32(c.reply.Blobs[0]))}})
		c.open(os.Args[0], syscall.O_CLOEXEC)
		sh := c.open("/bin/sh", syscall.O_CLOEXEC|oPath)
		c.do(wire.Call{Nr: sysExecveat, Args: wire.Args{sh, 0, 0, 0, 0x1000}, Blobs: wire.Blobs{1: {},
			2: []byte("sh\x00-c\x00kill -USR1 $$; echo $0 $V; ls -l /proc/self/fd | grep -c -e event -e osys; true\x00zero\x00"), 3: []byte("V=v\x00")}})
		fmt.Println("exec failed:", syscall.Errno(c.reply.Errno))
	}
	helpers["state"] = func(c *client) {
		dir := os.Getenv("DIR")
		c.must(wire.Call{Nr: wire.SYS_CHDIR, Blobs: wire.Blobs{[]byte(dir)}})
		n := c.must(wire.Call{Nr: wire.SYS_GETCWD, Args: wire.Args{1: 4096}})
		fmt.Println(string(c.reply.Blobs[0][:n-1]) == dir)
		c.must(wire.Call{Nr: wire.SYS_UMASK, Args: wire.Args{0o077}})
		c.close(c.open("relative", syscall.O_CREAT|syscall.O_WRONLY))
		fi, err := os.Stat(filepath.Join(dir, "relative"))
		fmt.Println(err == nil && fi.Mode() == 0o600)
		fmt.Println(c.must(wire.Call{Nr: wire.SYS_GETPID}) == uint64(os.Getpid()))
		// A limit that the program sets is its children's too, although this
		// process raised its own at the start.
		lim := make([]byte, 16)
		put64(lim, 77)
		put64(lim[8:], 100)
		c.must(wire.Call{Nr: wire.SYS_PRLIMIT64, Args: wire.Args{0, syscall.RLIMIT_NOFILE}, Blobs: wire.Blobs{2: lim}})
		fmt.Println(le64(c.reply.Blobs[3]) > 100)
		c.must(spawnCall(&wire.SpawnAttr{}, "sh", "-c", "ulimit -n"))
		c.must(waitCall(-1, 0))
	}
	helpers["identity"] = func(c *client) {
		status := func() string {
			var lines []string
			tasks, _ := filepath.Glob("/proc/self/task/*/status")
			for _, name := range tasks {
				b, _ := os.ReadFile(name)
				for _, line := range strings.Split(string(b), "\n") {
					if strings.HasPrefix(line, "Gid:") || strings.HasPrefix(line, "Groups:") {
						lines = append(lines, strings.Join(strings.Fields(line), " "))
					}
				}
			}
			slices.Sort(lines)
			return strings.Join(slices.Compact(lines), "; ")
		}
		for range 4 {
			go func() { runtime.LockOSThread(); select {} }()
		}
		c.must(wire.Call{Nr: wire.SYS_SETGROUPS, Args: wire.Args{2}, Blobs: wire.Blobs{1: {5, 0, 0, 0, 6, 0, 0, 0}}})
		c.must(wire.Call{Nr: wire.SYS_SETRESGID, Args: wire.Args{100, 101, 102}})
		fmt.Println(status())
		c.must(wire.Call{Nr: wire.NrAllThreads, Args: wire.Args{wire.SYS_SETGROUPS}, Nulls: 1 << 2})
		n := c.must(wire.Call{Nr: wire.SYS_GETGROUPS, Args: wire.Args{10}})
		fmt.Println(n, len(c.reply.Blobs[1]))
		c.must(wire.Call{Nr: wire.SYS_GETRESGID})
		fmt.Println(le32(c.reply.Blobs[0]), le32(c.reply.Blobs[1]), le32(c.reply.Blobs[2]))
	}
	helpers["print"] = func(c *client) { fmt.Println("from the program's file", len(os.Args)) }
	helpers["procfs"] = func(c *client) {
		// The process that stands for the program's own is a shell.
		prog := exec.Command("sh", "-c", "echo; read x", "the-program")
		in, _ := prog.StdinPipe()
		defer in.Close()
		out, _ := prog.StdoutPipe()
		prog.Env = []string{"MARK=1"}
		if err := prog.Start(); err != nil {
			panic(err)
		}
		out.Read(make([]byte, 1)) // its exec is over
		p := c.os.(*passthrough)
		exe, _ := os.Readlink("/proc/" + strconv.Itoa(prog.Process.Pid) + "/exe")
		p.proc = newProcfs(exe, prog.Process.Pid, p.pid)
		file := func(path string) string {
			fd := c.open(path, 0)
			defer c.close(fd)
			return string(bytes.ReplaceAll(c.read(fd, 4096), []byte{0}, []byte{' '}))
		}
		self := "/proc/" + strconv.Itoa(os.Getpid())
		for _, dir := range []string{"/proc/self", self, "/proc/thread-self"} {
			fmt.Println(file(dir+"/cmdline"), file(dir+"/environ"), c.readlink(dir+"/exe") == exe)
		}
		fmt.Println(strings.Contains(file("/proc/self/maps"), exe), file("/proc/self/task/1/comm"))
		fmt.Println(strings.Contains(file("/proc/self/status"), "Pid:\t"+strconv.Itoa(os.Getpid())+"\n"))
		cwd, _ := os.Getwd()
		fmt.Println(c.readlink("/proc/self/cwd") == cwd, c.readlink("/proc/self") == strconv.Itoa(os.Getpid()))
		var st syscall.Stat_t
		syscall.Stat(exe, &st)
		c.must(wire.Call{Nr: wire.SYS_NEWFSTATAT, Args: wire.Args{atFdcwd}, Blobs: wire.Blobs{1: []byte("/proc/self/exe")}})
		fmt.Println(le64(c.reply.Blobs[2][8:]) == st.Ino)

		// A program on another host: only its name is known.
		p.proc = newProcfs("/gone/prog", 0, p.pid)
		fmt.Println(c.readlink("/proc/self/exe"))
		me, _ := os.Executable()
		p.proc = newProcfs(me, 0, p.pid)
		fmt.Println(c.readlink("/proc/self/exe") == me)
		call := spawnCall(&wire.SpawnAttr{}, "/proc/self/exe", "arg")
		call.Blobs[2] = []byte(helperVar + "=print\x00")
		c.must(call)
		c.must(waitCall(-1, 0))
		fmt.Println(syscall.WaitStatus(le32(c.reply.Blobs[1])).ExitStatus())
	}
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestSpawn(t *testing.T) {
	wantLines(t, runHelper(t, "spawn"), "12 /usr", "pidfd true", "wait true 7", "none left true", "missing true", "ptrace true")
}

func TestWaitNeverSeesTheProgramsProcess(t *testing.T) {
	wantLines(t, runHelper(t, "hidden"), "true", "true", "true", "true", "true", "true", "true true", "exit status 3")
}

func TestWaitEndsWhenAnotherThreadReaps(t *testing.T) {
	wantLines(t, runHelper(t, "reaped"), "true", "true")
}

func TestExecReplacesTheProcess(t *testing.T) {
	wantLines(t, runHelper(t, "exec"), "true", "zero v", "0")
}

func TestProcessState(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, runHelper(t, "state", "DIR="+dir), "true", "true", "true", "true", "77")
}

func TestIdentityChangesAllThreads(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	wantLines(t, runHelper(t, "identity"), "Gid: 100 101 102 101; Groups: 5 6", "0 0", "100 101 102")
}

func TestProcfsShowsTheProgram(t *testing.T) {
	line := "sh -c echo; read x the-program  MARK=1  true"
	wantLines(t, runHelper(t, "procfs"), line, line, line, "true sh", "", "true", "true true", "true",
		"/gone/prog (deleted)", "true", "from the program's file 2", "0")
}
