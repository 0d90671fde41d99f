package ld

import (
	"cmd/internal/objabi"
	"cmd/internal/sys"
	"cmd/link/internal/loader"
	"cmd/link/internal/sym"
	"cmp"
	"slices"
	"strings"
)

// The global variables of a remote binary lie in three kinds of pages: those
// that each process keeps for itself (local), those of the program and those of
// the standard library (shared, kept coherent between the processes of a
// session). The order of the groups makes the shared ones two ranges, one with
// file content and one of zeros, while each symbol keeps the kind the compiler
// gave it, so that the pointer masks of the collector come out as they should:
//
//	.noptrdata   FIPS | local | std | user
//	.data                             user | std | local | FIPS
//	.bss                local | std | user
//	.noptrbss                         user | std | local | coverage
//
// Every shared group starts a page, and so does what follows one. User code and the standard library do not meet in
// a page, so that a busy counter of the program cannot drag along, say, the
// start of time. Within a shared group the order is by package.
//
// Nothing here assigns an address: a group is an order of symbols and the
// alignment of its first one, and the rest of the linker does what it always
// does.

// A remoteGroup is a set of symbols of one kind that starts on a page of its own.
type remoteGroup int

const (
	remoteFIPS remoteGroup = iota // hashed as a block: never mixed, never moved apart
	remoteOwn                     // local
	remoteStd                     // shared, of the standard library
	remoteUser                    // shared, of the program
	remoteGroups
)

func (g remoteGroup) shared() bool { return g == remoteStd || g == remoteUser }

// remoteOrder says in which order the groups of a kind follow each other. The
// linker puts the FIPS blocks of .data last by itself.
var remoteOrder = []struct {
	kind   sym.SymKind
	groups []remoteGroup
}{
	{sym.SNOPTRDATA, []remoteGroup{remoteFIPS, remoteOwn, remoteStd, remoteUser}},
	{sym.SDATA, []remoteGroup{remoteUser, remoteStd, remoteOwn}},
	{sym.SBSS, []remoteGroup{remoteOwn, remoteStd, remoteUser}},
	{sym.SNOPTRBSS, []remoteGroup{remoteUser, remoteStd, remoteOwn}},
}

// remotePlan is what the layout leaves behind for remoteVerify.
var remotePlan struct {
	shared map[loader.Sym]bool
	bounds [4]loader.Sym // first symbol of a range, first symbol after it; twice
}

// remoteLayout orders the symbols of the four kinds by group, and points
// runtime.remoteShared to the bounds. It runs when the symbols of each kind are
// known and sorted by size, before sections and addresses exist.
func (state *dodataState) remoteLayout(ctxt *Link) {
	ldr := ctxt.loader
	remoteTarget(ctxt)
	remoteStubInit(ctxt)
	v := remoteVariable(ctxt)
	remoteOwnState(ctxt)

	// The linker would put the block of FIPS variables last in .noptrdata, in
	// the middle of a range: bring it, with its start and end symbols, to the
	// front.
	var fips []loader.Sym
	for _, kind := range []sym.SymKind{sym.SNOPTRDATAFIPSSTART, sym.SNOPTRDATAFIPS, sym.SNOPTRDATAFIPSEND} {
		fips = append(fips, state.data[kind]...)
		state.data[kind] = nil
		state.dataMaxAlign[sym.SNOPTRDATA] = max(state.dataMaxAlign[sym.SNOPTRDATA], state.dataMaxAlign[kind])
	}

	remotePlan.shared = make(map[loader.Sym]bool)
	parts := remoteParts(state, ldr)
	first := make(map[sym.SymKind][remoteGroups]loader.Sym)
	for _, o := range remoteOrder {
		var groups [remoteGroups][]loader.Sym
		if o.kind == sym.SNOPTRDATA {
			groups[remoteFIPS] = fips
		}
		for _, s := range state.data[o.kind] {
			g := remoteGroupOf(ldr, s, parts)
			groups[g] = append(groups[g], s)
		}
		state.data[o.kind] = nil
		var starts [remoteGroups]loader.Sym
		for i, g := range o.groups {
			if len(groups[g]) == 0 {
				continue
			}
			starts[g] = state.remoteAppend(ldr, o.kind, g, groups[g], i == len(o.groups)-1)
		}
		first[o.kind] = starts
	}
	state.remoteBounds(ctxt, v, first)
}

// remoteAppend lets the symbols of group g, of which there is one at least,
// follow the groups that its kind has so far, and returns the first of them.
// last says that no group follows.
func (state *dodataState) remoteAppend(ldr *loader.Loader, kind sym.SymKind, g remoteGroup, syms []loader.Sym, last bool) loader.Sym {
	if g.shared() {
		slices.SortStableFunc(syms, func(a, b loader.Sym) int {
			return strings.Compare(ldr.SymPkg(a), ldr.SymPkg(b))
		})
		for _, s := range syms {
			remotePlan.shared[s] = true
		}
	}
	// Local variables need a break only where they end a range.
	if g.shared() || g == remoteOwn && last {
		ldr.SetSymAlign(syms[0], max(remotePage, ldr.SymAlign(syms[0])))
		state.dataMaxAlign[kind] = max(state.dataMaxAlign[kind], remotePage)
	}
	state.data[kind] = append(state.data[kind], syms...)
	return syms[0]
}

// remoteBounds names the symbols at the bounds, writes their addresses into the
// runtime's variable v, and gives them a section of their own as well, where a
// process outside finds them even in a stripped file. first holds the first
// symbol of each group, 0 for an empty one.
func (state *dodataState) remoteBounds(ctxt *Link, v loader.Sym, first map[sym.SymKind][remoteGroups]loader.Sym) {
	ldr := ctxt.loader
	noptrdata, data, bss, noptrbss := first[sym.SNOPTRDATA], first[sym.SDATA], first[sym.SBSS], first[sym.SNOPTRBSS]
	end1, end2 := data[remoteOwn], noptrbss[remoteOwn]
	if end1 == 0 || end2 == 0 {
		Exitf("remotec: laying out globals: no local variables in .data or .noptrbss to end the shared ranges: package runtime is missing")
	}
	remotePlan.bounds = [4]loader.Sym{
		cmp.Or(noptrdata[remoteStd], noptrdata[remoteUser], data[remoteUser], data[remoteStd], end1),
		end1,
		cmp.Or(bss[remoteStd], bss[remoteUser], noptrbss[remoteUser], noptrbss[remoteStd], end2),
		end2,
	}

	info := ldr.CreateSymForUpdate(remoteBoundsSym, 0)
	info.SetType(sym.SBUILDINFO) // a kind whose symbols get a section each
	info.SetReachable(true)
	info.SetLocal(true)
	state.data[sym.SBUILDINFO] = append(state.data[sym.SBUILDINFO], info.Sym())
	ldr.SetAttrOnList(info.Sym(), true)
	for _, s := range []loader.Sym{v, info.Sym()} {
		sb := ldr.MakeSymbolUpdater(s)
		sb.SetSize(0)
		sb.SetData(nil)
		for _, bound := range remotePlan.bounds {
			sb.AddAddr(ctxt.Arch, bound)
		}
	}
}

// remoteParts returns what the variables point to that a rule shares by name, as
// the compiler initialised them: the struct of var x = &T{...} is a symbol of its own,
// whose number no rule could know.
func remoteParts(state *dodataState, ldr *loader.Loader) map[loader.Sym]bool {
	parts := make(map[loader.Sym]bool)
	for _, o := range remoteOrder {
		for _, s := range state.data[o.kind] {
			if !remoteSharedIndex[ldr.SymName(s)] {
				continue
			}
			relocs := ldr.Relocs(s)
			for i := range relocs.Count() {
				to := relocs.At(i).Sym()
				if to != 0 && strings.HasPrefix(ldr.SymName(to), ldr.SymPkg(s)+"..stmp_") {
					parts[to] = true
				}
			}
		}
	}
	return parts
}

// remoteGroupOf applies the rules to one symbol, and shares parts. What has no size stays beside
// runtime.zerobase, whose address such variables share.
func remoteGroupOf(ldr *loader.Loader, s loader.Sym, parts map[loader.Sym]bool) remoteGroup {
	if ldr.SymSize(s) == 0 {
		return remoteOwn
	}
	pkg := ldr.SymPkg(s)
	if !parts[s] && remoteLocal(pkg, ldr.SymName(s)) != "" {
		return remoteOwn
	}
	root, _, _ := strings.Cut(pkg, "/")
	if remoteStdRoots[root] {
		return remoteStd
	}
	return remoteUser
}

// remoteTarget refuses what the layout was not made for. A position-independent
// binary has other addresses in each process, so no pointer could travel.
func remoteTarget(ctxt *Link) {
	if ctxt.HeadType != objabi.Hlinux || ctxt.Arch.Family != sys.AMD64 {
		Exitf("remotec: cannot link for %s/%s: remote binaries are for linux/amd64", ctxt.HeadType, ctxt.Arch.Name)
	}
	if ctxt.BuildMode != BuildModeExe || ctxt.linkShared {
		Exitf("remotec: cannot link with -buildmode=%s: a remote binary needs fixed addresses; use -buildmode=exe", ctxt.BuildMode)
	}
}

// remoteOwnState tells the runtime whether the program, its standard library apart,
// uses one of remoteOwnSymbols.
func remoteOwnState(ctxt *Link) {
	ldr := ctxt.loader
	v := ldr.Lookup(remoteOwnVar, 0)
	if v == 0 {
		return // a runtime without placement
	}
	own := make(map[loader.Sym]bool)
	for _, name := range remoteOwnSymbols {
		for _, version := range []int{sym.SymVerABI0, sym.SymVerABIInternal} {
			if s := ldr.Lookup(name, version); s != 0 {
				own[s] = true
			}
		}
	}
	for _, s := range ctxt.Textp {
		root, _, _ := strings.Cut(ldr.SymPkg(s), "/")
		if remoteStdRoots[root] || root == "" {
			continue
		}
		relocs := ldr.Relocs(s)
		for i := range relocs.Count() {
			if own[relocs.At(i).Sym()] {
				sb := ldr.MakeSymbolUpdater(v)
				sb.SetSize(0)
				sb.SetData(nil) // the archive's, which cannot be written
				sb.AddUint32(ctxt.Arch, 2)
				return
			}
		}
	}
}

// remoteVariable returns the variable of the patched runtime that takes the
// bounds.
func remoteVariable(ctxt *Link) loader.Sym {
	ldr := ctxt.loader
	v := ldr.Lookup(remoteBoundsVar, 0)
	switch {
	case v == 0:
		Exitf("remotec: package runtime has no %s: it was compiled without remotec; run the whole build with -toolexec=remotec", remoteBoundsVar)
	case !ldr.AttrReachable(v):
		Exitf("remotec: nothing in package runtime reads %s: its patch is incomplete", remoteBoundsVar)
	case ldr.SymSize(v) != int64(4*ctxt.Arch.PtrSize) || ldr.SymType(v) != sym.SNOPTRDATA:
		Exitf("remotec: %s is a %s of %d bytes, want an initialised [4]uintptr", remoteBoundsVar, ldr.SymType(v), ldr.SymSize(v))
	}
	return v
}
