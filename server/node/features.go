package node

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/cpu"
)

// features lists what the processor has of what Go code asks for, by names.
// GODEBUG=cpu.avx2=off and the like take features away, here as in the runtime.
func features() []string {
	var list []string
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"aes", cpu.X86.HasAES}, {"adx", cpu.X86.HasADX}, {"avx", cpu.X86.HasAVX}, {"avx2", cpu.X86.HasAVX2},
		{"avx512f", cpu.X86.HasAVX512F}, {"avx512bw", cpu.X86.HasAVX512BW}, {"avx512vl", cpu.X86.HasAVX512VL},
		{"bmi1", cpu.X86.HasBMI1}, {"bmi2", cpu.X86.HasBMI2}, {"erms", cpu.X86.HasERMS}, {"fma", cpu.X86.HasFMA},
		{"osxsave", cpu.X86.HasOSXSAVE}, {"pclmulqdq", cpu.X86.HasPCLMULQDQ}, {"popcnt", cpu.X86.HasPOPCNT},
		{"sse3", cpu.X86.HasSSE3}, {"ssse3", cpu.X86.HasSSSE3},
		{"sse41", cpu.X86.HasSSE41}, {"sse42", cpu.X86.HasSSE42},
	} {
		if f.has {
			list = append(list, f.name)
		}
	}
	return list
}

// masked returns env with GODEBUG saying that features of this processor which are not among
// ours, those of the session's first process, are not used: a goroutine that has found one
// here may go on in another process.
func masked(env, ours []string) []string {
	off := ""
	for _, f := range features() {
		if f != "osxsave" && !slices.Contains(ours, f) { // which follows from what it is needed for
			off += ",cpu." + f + "=off"
		}
	}
	if off == "" {
		return env
	}
	const name = "GODEBUG="
	env = slices.Clone(env)
	for i, kv := range env {
		if strings.HasPrefix(kv, name) {
			env[i] = strings.TrimSuffix(kv, ",") + off
			return env
		}
	}
	return append(env, name+off[1:])
}

// hashing are the features by which the runtime chooses how it hashes: a map
// that one process made is read by all (alginit of runtime/alg.go).
var hashing = []string{"aes", "ssse3", "sse41"}

// unlike says why processes of one session cannot run on processors with these
// features, ours being that of its first process; empty: they can. What the
// first process found out about its processor all of them will use.
func unlike(ours, theirs []string) string {
	var missing []string
	for _, f := range ours {
		if !slices.Contains(theirs, f) {
			missing = append(missing, f)
		}
	}
	if missing != nil {
		return fmt.Sprintf("its processor lacks %s, which that of the session's first process has: "+
			"run the session on the older machine, or start remotec run with GODEBUG=cpu.%s=off",
			strings.Join(missing, ", "), strings.Join(missing, "=off,cpu."))
	}
	for _, f := range hashing {
		if slices.Contains(theirs, f) && !slices.Contains(ours, f) {
			return fmt.Sprintf("its processor has %s and that of the session's first process has not, so that maps would be hashed differently", f)
		}
	}
	return ""
}
