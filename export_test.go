package ami

// BuffersOf returns the capacities of buffers that were asked to be so large: to
// fill one of a million events tells no more.
func BuffersOf(sizes ...int) (capacities []int) {
	h := newHub(&config{})
	for _, n := range sizes {
		capacities = append(capacities, h.subscribe(nil, []SubOption{Buffer(n)}).cfg.buffer)
	}
	return capacities
}
