package ld

import (
	"cmd/internal/objabi"
	"cmd/link/internal/loader"
	"strings"
)

// remoteLoadStub loads the stub as the linker loads package runtime: without an
// import that asks for it. The stub stays in the binary because the patched
// runtime calls a function that it defines.
func remoteLoadStub(ctxt *Link) {
	if ctxt.PackageFile != nil && ctxt.PackageFile[remoteStub] == "" {
		Exitf("remotec: importcfg has no packagefile for %s: it was not written by remotec; run the whole build with -toolexec=remotec", remoteStub)
	}
	if loadinternal(ctxt, remoteStub) == nil {
		Exitf("remotec: cannot find the archive of %s: link with an importcfg", remoteStub)
	}
}

// remoteStubInit refuses a stub that needs package initialisation. The runtime
// calls the stub before any package but its own is initialised, and the stub's
// init task hangs from no root, so its functions would never run. A task
// without functions is harmless: the compiler makes one for each import that
// has a task.
func remoteStubInit(ctxt *Link) {
	ldr := ctxt.loader
	ready := make(map[loader.Sym]bool) // initialised before the stub is called
	remoteInitTasks(ldr, "runtime..inittask", func(s loader.Sym) { ready[s] = true })
	remoteInitTasks(ldr, objabi.PathToPrefix(remoteStub)+"..inittask", func(s loader.Sym) {
		// An init task is two uint32 followed by its functions.
		if !ready[s] && ldr.SymSize(s) > 8 {
			Exitf("remotec: %s has init functions, and the stub, which depends on it, is called before they could run: drop the import, or make the variables static",
				strings.TrimSuffix(ldr.SymName(s), "..inittask"))
		}
	})
}

// remoteInitTasks calls visit for the init task called name and for each one
// that must come before it.
func remoteInitTasks(ldr *loader.Loader, name string, visit func(loader.Sym)) {
	root := ldr.Lookup(name, 0)
	if root == 0 {
		return
	}
	seen := map[loader.Sym]bool{root: true}
	for queue := []loader.Sym{root}; len(queue) > 0; {
		s := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		visit(s)
		relocs := ldr.Relocs(s)
		for i := 0; i < relocs.Count(); i++ {
			r := relocs.At(i)
			if r.Type() == objabi.R_INITORDER && !seen[r.Sym()] {
				seen[r.Sym()] = true
				queue = append(queue, r.Sym())
			}
		}
	}
}
