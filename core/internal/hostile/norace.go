//go:build !race

package hostile

// Slack is by how much a measured cost may exceed its bound.
const Slack = 1
