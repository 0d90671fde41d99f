// Package patches holds what remotec changes in each Go release: the edits in
// one Go file per release (go126.go, go127.go), and the files that are added
// in one directory per release, which mirrors GOROOT/src:
//
//	go1.26/runtime/remotec_attach.go.txt   becomes runtime/remotec_attach.go
//
// The directory of a later release holds only what differs from the one before
// it: a file there takes the place of the file of the same path, and an empty
// file removes it.
//
// In a package of remotec's own module, which has import paths under
// remotec.dev/, a file takes the place of the one that is there.
package patches

import (
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"

	"remotec.dev/internal/instrument"
)

//go:embed go1.26 go1.27
var tree embed.FS

func init() {
	instrument.Register("1.26", go126)
	instrument.Register("1.27", go127)
}

// files returns the files to add, from the directories of the given releases;
// a later directory wins.
func files(releases ...string) []instrument.File {
	byPath := map[string][]byte{}
	for _, release := range releases {
		root := "go" + release
		// The tree is part of the binary: reading it cannot fail.
		_ = fs.WalkDir(tree, root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".txt") {
				return err
			}
			rel := strings.TrimSuffix(strings.TrimPrefix(name, root+"/"), ".txt")
			content, err := tree.ReadFile(name)
			if len(content) == 0 {
				delete(byPath, rel)
			} else {
				byPath[rel] = content
			}
			return err
		})
	}
	var list []instrument.File
	for rel, content := range byPath {
		list = append(list, instrument.File{
			Package: path.Dir(rel), Name: path.Base(rel), Content: content,
			Replace: strings.HasPrefix(rel, "remotec.dev/"),
		})
	}
	slices.SortFunc(list, func(a, b instrument.File) int {
		return strings.Compare(a.Package+"/"+a.Name, b.Package+"/"+b.Name)
	})
	return list
}
