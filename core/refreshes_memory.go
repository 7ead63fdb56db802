package core

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// What memoryRefreshes keep at most. More than that within five minutes is no
// ordinary day: then the oldest outcomes go, and a request that still carries those
// tokens uses its refresh token once more.
const (
	maxRefreshes    = 1 << 16
	maxRefreshBytes = 64 << 20
)

// memoryRefreshes are those of one process, where refreshFlights see to it that
// nobody begins what is under way.
type memoryRefreshes struct {
	now   func() time.Time
	mu    sync.Mutex
	kept  map[string]*list.Element // by key
	order list.List                // of keptOutcome, the oldest first
	bytes int
}

type keptOutcome struct {
	key, outcome string
	until        time.Time
}

func (o keptOutcome) size() int { return len(o.key) + len(o.outcome) }

// Begin implements [Refreshes].
func (m *memoryRefreshes) Begin(_ context.Context, key string, _ time.Duration) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if element := m.kept[key]; element != nil {
		if kept := element.Value.(keptOutcome); m.now().Before(kept.until) {
			return kept.outcome, nil
		}
	}
	return "", nil
}

// Finish implements [Refreshes].
func (m *memoryRefreshes) Finish(_ context.Context, key, outcome string, keep time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil {
		m.kept = make(map[string]*list.Element)
	}
	if former := m.kept[key]; former != nil {
		m.drop(former)
	}
	now := m.now()
	if outcome != "" {
		fresh := keptOutcome{key, outcome, now.Add(keep)}
		m.kept[key] = m.order.PushBack(fresh)
		m.bytes += fresh.size()
	}
	for oldest := m.order.Front(); oldest != nil; oldest = m.order.Front() {
		over := !now.Before(oldest.Value.(keptOutcome).until)
		if !over && len(m.kept) <= maxRefreshes && m.bytes <= maxRefreshBytes {
			break
		}
		m.drop(oldest)
	}
	return nil
}

func (m *memoryRefreshes) drop(element *list.Element) {
	gone := m.order.Remove(element).(keptOutcome)
	delete(m.kept, gone.key)
	m.bytes -= gone.size()
}
