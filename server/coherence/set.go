package coherence

import (
	"iter"
	"math/bits"
)

// Set is a set of processes.
type Set [MaxProcesses / 64]uint64

// SetOf returns the set of the given processes.
func SetOf(processes ...int) Set {
	var s Set
	for _, process := range processes {
		s.Add(process)
	}
	return s
}

// Has says whether process is in s.
func (s *Set) Has(process int) bool { return s[process/64]&(1<<(process%64)) != 0 }

// Add puts process into s.
func (s *Set) Add(process int) { s[process/64] |= 1 << (process % 64) }

// Remove takes process out of s.
func (s *Set) Remove(process int) { s[process/64] &^= 1 << (process % 64) }

// Includes says whether all of t are in s.
func (s *Set) Includes(t Set) bool { return t[0]&^s[0] == 0 && t[1]&^s[1] == 0 }

// Len returns how many processes are in s.
func (s *Set) Len() int { return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) }

// All yields the processes of s in ascending order.
func (s Set) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, word := range s {
			for ; word != 0; word &= word - 1 {
				if !yield(i*64 + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}
