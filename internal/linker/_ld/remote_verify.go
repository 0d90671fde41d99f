package ld

// remoteVerify checks the layout once addresses are assigned: the bounds are
// whole pages, and a symbol lies between them if and only if it is shared. The
// symbols are at hand here whatever -s and -w leave of them in the file. It
// runs for every link, since a page that holds both kinds corrupts memory much
// later and far away.
func (ctxt *Link) remoteVerify() {
	ldr := ctxt.loader
	var bounds [4]uint64
	for i, s := range remotePlan.bounds {
		bounds[i] = uint64(ldr.SymValue(s))
		if bounds[i]%remotePage != 0 {
			Exitf("remotec: checking the layout of globals: bound %d at %#x (%s) does not start a page", i, bounds[i], ldr.SymName(s))
		}
	}
	if bounds[0] > bounds[1] || bounds[1] > bounds[2] || bounds[2] > bounds[3] {
		Exitf("remotec: checking the layout of globals: bounds %#x are out of order", bounds)
	}
	for _, s := range ctxt.datap {
		sect := ldr.SymSect(s)
		if sect == nil || sect.Seg != &Segdata || sect.Name == ".tbss" {
			continue
		}
		lo := uint64(ldr.SymValue(s))
		hi := lo + uint64(ldr.SymSize(s))
		inside := lo >= bounds[0] && hi <= bounds[1] || lo >= bounds[2] && hi <= bounds[3]
		outside := hi <= bounds[0] || lo >= bounds[1] && hi <= bounds[2] || lo >= bounds[3]
		if shared := remotePlan.shared[s]; shared && !inside || !shared && !outside {
			Exitf("remotec: checking the layout of globals: %s at %#x-%#x (shared: %v) lies on the wrong side of the bounds %#x", ldr.SymName(s), lo, hi, shared, bounds)
		}
	}
	if ctxt.LinkMode == LinkExternal {
		remoteRename()
	}
}

// remoteRename keeps the sections of Go variables together when another linker
// makes the final file. That linker merges all .data into one section, and all
// .bss, which would move them away from .noptrdata and .noptrbss and put C
// variables into the shared ranges. Sections whose names it does not know stay
// whole and keep their order. Nothing in this linker needs the old names once
// addresses are assigned.
func remoteRename() {
	rename := map[string]string{".data": ".go.data", ".bss": ".go.bss"}
	for _, sect := range Segdata.Sections {
		if name := rename[sect.Name]; name != "" {
			sect.Name = name
		}
	}
}
