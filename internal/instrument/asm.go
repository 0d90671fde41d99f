package instrument

import (
	"bytes"
	"fmt"
	"strings"
)

// asmEdit is an edit of an assembly file. Assembly has no syntax tree to
// anchor on; the unit is a TEXT block, from its TEXT line to what belongs to
// the next block.
type asmEdit interface {
	Edit
	apply(name string, src []byte, text string) ([]byte, error)
}

// ReplaceText replaces the TEXT block that Patch.Func names, its TEXT line
// included. A replacement of fewer lines is filled up, so that the lines that
// follow keep their numbers.
type ReplaceText struct{ Code string }

// AppendText adds text at the end of the file: the way to give a package more
// assembly, because an added .s file would not be put into the archive.
// Patch.Func is not used.
type AppendText struct{ Code string }

// AppendToLine adds instructions after those of the one line of the TEXT block that
// reads Anchor, in that line. Patch.Func names the block.
type AppendToLine struct{ Anchor, Code string }

func (e AppendToLine) describe() string { return "after " + e.Anchor + ": " + oneLine(e.Code) }
func (e ReplaceText) describe() string  { return "replace the TEXT block" }
func (e AppendText) describe() string   { return "add text: " + oneLine(e.Code) }

func applyAsm(name string, src []byte, patches []Patch) ([]byte, error) {
	if bytes.Contains(src, []byte(marker)) {
		return nil, fmt.Errorf("%s is already patched", name)
	}
	for _, p := range patches {
		edit, ok := p.Edit.(asmEdit)
		if !ok {
			return nil, fmt.Errorf("patch %q: an edit of kind %T is not for assembly files", p.Name, p.Edit)
		}
		var err error
		if src, err = edit.apply(name, src, p.Func); err != nil {
			return nil, fmt.Errorf("%w (patch %q)", err, p.Name)
		}
	}
	return append(src[:len(src):len(src)], "\n"+marker+"\n"...), nil
}

func (e AppendText) apply(_ string, src []byte, _ string) ([]byte, error) {
	return append(src[:len(src):len(src)], "\n"+strings.TrimSpace(e.Code)+"\n"...), nil
}

func (e AppendToLine) apply(name string, src []byte, text string) ([]byte, error) {
	lines := strings.SplitAfter(string(src), "\n")
	start, end, err := textBlock(name, lines, text)
	if err != nil {
		return nil, err
	}
	at := -1
	for i := start; i < end; i++ {
		if strings.Join(strings.Fields(lines[i]), " ") == e.Anchor {
			if at >= 0 {
				return nil, fmt.Errorf("%w %q is twice in TEXT ·%s of %s", errAnchor, e.Anchor, text, name)
			}
			at = i
		}
	}
	if at < 0 {
		return nil, fmt.Errorf("%w %q not found in TEXT ·%s of %s", errAnchor, e.Anchor, text, name)
	}
	lines[at] = strings.TrimRight(lines[at], "\n") + "; " + e.Code + "\n"
	return []byte(strings.Join(lines, "")), nil
}

func (e ReplaceText) apply(name string, src []byte, text string) ([]byte, error) {
	lines := strings.SplitAfter(string(src), "\n")
	start, end, err := textBlock(name, lines, text)
	if err != nil {
		return nil, err
	}
	code := strings.TrimSpace(e.Code) + "\n"
	if missing := (end - start) - strings.Count(code, "\n"); missing > 0 {
		code += strings.Repeat("\n", missing)
	}
	return []byte(strings.Join(lines[:start], "") + code + strings.Join(lines[end:], "")), nil
}

// textBlock finds the TEXT block that is named text.
func textBlock(name string, lines []string, text string) (start, end int, err error) {
	start = -1
	for i, line := range lines {
		if textName(line) == text {
			if start >= 0 {
				return 0, 0, fmt.Errorf("%w %q is twice in %s", errAnchor, "TEXT ·"+text, name)
			}
			start = i
		}
	}
	if start < 0 {
		return 0, 0, fmt.Errorf("%w %q not found in %s", errAnchor, "TEXT ·"+text, name)
	}
	return start, blockEnd(lines, start), nil
}

// textName returns "name" for a line "TEXT ·name(SB),...", also for
// "TEXT ·name<ABIInternal>(SB)" and "TEXT runtime·name(SB)".
func textName(line string) string {
	rest, ok := strings.CutPrefix(line, "TEXT")
	if !ok {
		return ""
	}
	symbol, _, ok := strings.Cut(strings.TrimSpace(rest), "(SB)")
	if !ok {
		return ""
	}
	symbol, _, _ = strings.Cut(symbol, "<")
	if _, name, ok := strings.Cut(symbol, "·"); ok {
		return name
	}
	return symbol
}

// blockEnd returns the index of the first line after the block that starts at
// lines[start]. What stands right before the next block, its comment and a
// conditional around it, belongs to the next block; an #endif does not.
func blockEnd(lines []string, start int) int {
	end := start + 1
	for end < len(lines) && !hasAnyPrefix(lines[end], "TEXT", "DATA", "GLOBL") {
		end++
	}
	for end > start+1 {
		before := lines[end-1]
		switch {
		case strings.TrimSpace(before) == "", strings.HasPrefix(before, "//"):
		case strings.HasPrefix(before, "#") && !strings.HasPrefix(before, "#endif"):
		default:
			return end
		}
		end--
	}
	return end
}

func hasAnyPrefix(s string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}
