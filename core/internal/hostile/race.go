//go:build race

package hostile

// Slack is by how much a measured cost may exceed its bound. The race detector
// allocates memory of its own and is slow.
const Slack = 4
