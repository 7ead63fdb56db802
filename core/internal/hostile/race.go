//go:build race

package hostile

// Slack is the factor by which a measured cost may exceed its limit. The race detector
// allocates memory of its own and is slow.
const Slack = 4
