// Cpu measures code that hardly enters the runtime.
package main

import (
	"crypto/sha256"
	"math"
	"math/rand"
	"sort"

	"remotec.dev/bench/programs/measure"
)

func main() {
	const steps = 20_000
	measure.Time("cpu/nbody", steps, func() { measure.Sink = nbody(steps) })

	a, b := matrix(128), matrix(128)
	measure.Time("cpu/matmul", 1, func() { measure.Sink = multiply(a, b) })

	numbers := rand.New(rand.NewSource(1)).Perm(20_000)
	scratch := make([]int, len(numbers))
	measure.Time("cpu/sort", 1, func() {
		copy(scratch, numbers)
		sort.Ints(scratch)
	})

	measure.Time("cpu/map", mapUpdates, func() { measure.Sink = countKeys() })

	block := make([]byte, 1<<20)
	measure.Time("cpu/sha256", 2, func() {
		for range 2 {
			sum := sha256.Sum256(block)
			copy(block, sum[:])
		}
	})
}

type body struct{ x, y, z, vx, vy, vz, mass float64 }

// nbody is the simulation of the Computer Language Benchmarks Game with made
// up bodies.
func nbody(steps int) float64 {
	var system [5]body
	for i := range system {
		f := float64(i + 1)
		system[i] = body{f, -f / 2, f / 3, 0.01 * f, 0.02 / f, -0.01, 1 / f}
	}
	for range steps {
		for i := range system {
			p := &system[i]
			for j := i + 1; j < len(system); j++ {
				q := &system[j]
				dx, dy, dz := p.x-q.x, p.y-q.y, p.z-q.z
				d := dx*dx + dy*dy + dz*dz + 0.1
				m := 0.001 / (d * math.Sqrt(d))
				p.vx -= dx * q.mass * m
				p.vy -= dy * q.mass * m
				p.vz -= dz * q.mass * m
				q.vx += dx * p.mass * m
				q.vy += dy * p.mass * m
				q.vz += dz * p.mass * m
			}
		}
		for i := range system {
			p := &system[i]
			p.x += 0.001 * p.vx
			p.y += 0.001 * p.vy
			p.z += 0.001 * p.vz
		}
	}
	return system[0].x
}

func matrix(n int) [][]float64 {
	m := make([][]float64, n)
	for i := range m {
		m[i] = make([]float64, n)
		for j := range m[i] {
			m[i][j] = float64(i*j%7) + 0.5
		}
	}
	return m
}

func multiply(a, b [][]float64) [][]float64 {
	n := len(a)
	c := make([][]float64, n)
	for i := range c {
		c[i] = make([]float64, n)
		for k, x := range a[i] {
			for j, y := range b[k] {
				c[i][j] += x * y
			}
		}
	}
	return c
}

const mapUpdates = 100_000

// countKeys updates a map of 10,000 keys in an order that caches dislike.
func countKeys() int {
	m := make(map[uint32]int)
	x := uint32(1)
	for range mapUpdates {
		x = x*1664525 + 1013904223
		m[(x>>8)%10_000]++
	}
	return len(m)
}
