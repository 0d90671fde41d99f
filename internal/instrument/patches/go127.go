package patches

import (
	"slices"

	. "remotec.dev/internal/instrument"
)

// go127 returns the patches for Go 1.27.
func go127() *Set {
	return &Set{
		Patches: slices.Concat(runtimePatches, syscallPatches),
		Files:   files("1.26", "1.27"),
	}
}
