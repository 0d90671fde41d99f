package osys

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"remotec.dev/runtimestub/wire"
)

// TestTableNumbers compares the names in the table of shapes with the numbers
// that package syscall has for them.
func TestTableNumbers(t *testing.T) {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip("no go command")
	}
	src, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(goroot)), "src/syscall/zsysnum_linux_amd64.go"))
	if err != nil {
		t.Skip("no source of package syscall")
	}
	found := 0
	for _, m := range regexp.MustCompile(`(?m)^\s+SYS_(\w+)\s+= (\d+)$`).FindAllStringSubmatch(string(src), -1) {
		nr, _ := strconv.Atoi(m[2])
		name := wire.Name(uint32(nr))
		if name == "" {
			continue // obsolete calls that the kernel does not have either
		}
		found++
		if name != strings.ToLower(m[1]) {
			t.Errorf("number %d is %s in package syscall and %q in the table", nr, strings.ToLower(m[1]), name)
		}
	}
	if found < 250 {
		t.Errorf("the table knows only %d of the calls of package syscall", found)
	}
}

// TestTableConsistent checks that references name arguments that can hold a
// length, and that every output of variable length can come last.
func TestTableConsistent(t *testing.T) {
	for nr := range uint64(512) {
		s := wire.Lookup(nr, &wire.Args{})
		outs := 0
		for i, arg := range s.Args {
			ref := s.Args[arg.Ref()].Kind()
			switch arg.Kind() {
			case wire.In, wire.Out, wire.InOut:
				if ref != wire.Int || arg.Size() == 0 {
					t.Errorf("%s: argument %d has its length in %d, which is no number", s.Name, i, arg.Ref())
				}
			case wire.IovIn, wire.IovOut:
				if ref != wire.Int {
					t.Errorf("%s: argument %d has its count in %d, which is no number", s.Name, i, arg.Ref())
				}
			case wire.AddrOut:
				if ref != wire.SockLen {
					t.Errorf("%s: argument %d has its length in %d, which is no SockLen", s.Name, i, arg.Ref())
				}
			case wire.StructIn, wire.StructOut, wire.StructIO:
				if arg.Size() == 0 {
					t.Errorf("%s: argument %d is a struct without a size", s.Name, i)
				}
			}
			if k := arg.Kind(); s.Result == wire.Bytes && (k == wire.Out || k == wire.IovOut) {
				outs++
			}
			if arg.Kind() == wire.StructOut && s.Result == wire.Pair && arg.Size() != 8 {
				t.Errorf("%s: a pair of %d bytes", s.Name, arg.Size())
			}
		}
		if s.Result == wire.Bytes && outs != 1 {
			t.Errorf("%s: result counts what is stored in %d arguments", s.Name, outs)
		}
	}
}

// TestNoAddressesInIoctls checks requests that the macros describe wrongly.
func TestNoAddressesInIoctls(t *testing.T) {
	for name, tt := range map[string]struct {
		req  uint64
		want wire.Arg // kind and size; Drop: refused
		size int
	}{
		"TCGETS":         {0x5401, wire.StructOut, 36},
		"TIOCGWINSZ":     {0x5413, wire.StructOut, 8},
		"TIOCGPTN":       {0x80045430, wire.StructOut, 4},
		"TIOCSPTLCK":     {0x40045431, wire.StructIn, 4},
		"FS_IOC_GETFLAG": {0x80086601, wire.StructOut, 4},
		"FS_IOC_FIEMAP":  {0xc020660b, wire.Drop, 0},
		"FIDEDUPERANGE":  {0xc0189436, wire.Drop, 0},
		"SIOCETHTOOL":    {0x8946, wire.Drop, 0},
		"SIOCGIFCONF":    {0x8912, wire.Drop, 0},
		"SIOCGIFINDEX":   {0x8933, wire.StructIO, 40},
		"TUNSETIFF":      {0x400454ca, wire.StructIO, 40},
		"TUNSETPERSIST":  {0x400454cb, wire.Int, 0},
		"KVM_RUN":        {0xae80, wire.Drop, 0},
		"SG_IO":          {0x2285, wire.Drop, 0},
		"USBDEVFS_BULK":  {0xc0185502, wire.Drop, 0},
		"RTC_RD_TIME":    {0x80247009, wire.StructOut, 36},
		"BLKGETSIZE64":   {0x80081272, wire.StructOut, 8},
	} {
		s := wire.Lookup(wire.SYS_IOCTL, &wire.Args{1: tt.req})
		if tt.want == wire.Drop {
			if s.Class != wire.Unknown {
				t.Errorf("%s: carried", name)
			}
		} else if s.Class == wire.Unknown || s.Args[2].Kind() != tt.want || s.Args[2].Size() != tt.size {
			t.Errorf("%s: class %d, kind %d, %d bytes", name, s.Class, s.Args[2].Kind(), s.Args[2].Size())
		}
	}
}
