package adapters_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// The floor is the cost of a request in code written by hand for one application: only the
// identity, in one small sealed record, without any check that can be left out. Pixy's cost
// is given as a multiple of the floor, because machines differ and are noisy. A ratio
// measured in one run is stable.

// compare reports the cost of subject as a multiple of floor: the median of many pairs of
// measurements. The two of a pair follow each other directly, and each is long enough to
// include its own garbage collection.
func compare(b *testing.B, floor, subject func()) {
	b.Helper()
	const half = 10 * time.Millisecond
	floors, subjects := callsIn(half, floor), callsIn(half, subject)
	var ratios, times []float64
	for b.Loop() {
		least, took := nanoseconds(floors, floor), nanoseconds(subjects, subject)
		ratios = append(ratios, took/least)
		times = append(times, took)
	}
	b.ReportMetric(median(times), "ns/op") // of the subject alone
	b.ReportMetric(median(ratios), "floors")
	b.ReportMetric(testing.AllocsPerRun(200, subject), "allocs")
}

// callsIn returns about how many calls fit into limit.
func callsIn(limit time.Duration, call func()) int {
	calls := 0
	for start := time.Now(); time.Since(start) < limit; calls++ {
		call()
	}
	return calls
}

// nanoseconds returns the time of one call, measured over many.
func nanoseconds(calls int, call func()) float64 {
	start := time.Now()
	for range calls {
		call()
	}
	return float64(time.Since(start)) / float64(calls)
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// floorGuard opens one sealed cookie among others, and puts its user into the request's
// context.
type floorGuard struct {
	aead cipher.AEAD
	name string
}

// floorUser is the content of the floor's session.
type floorUser struct {
	ends                         int64
	issuer, subject, name, email string
}

func newFloorGuard(b *testing.B) *floorGuard {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	return &floorGuard{aead: aead, name: "__Host-floor="}
}

// encode writes the time, then each text after its length.
func (u *floorUser) encode() []byte {
	record := binary.BigEndian.AppendUint64(make([]byte, 0, 128), uint64(u.ends))
	for _, text := range [...]string{u.issuer, u.subject, u.name, u.email} {
		record = append(append(record, byte(len(text))), text...)
	}
	return record
}

func decodeFloorUser(record []byte) *floorUser {
	user := &floorUser{ends: int64(binary.BigEndian.Uint64(record))}
	rest := string(record[8:])
	for _, text := range [...]*string{&user.issuer, &user.subject, &user.name, &user.email} {
		end := 1 + int(rest[0])
		*text, rest = rest[1:end], rest[end:]
	}
	return user
}

func (f *floorGuard) authenticate(r *http.Request) *http.Request {
	header := r.Header["Cookie"][0]
	value := header[strings.Index(header, f.name)+len(f.name):]
	if end := strings.IndexByte(value, ';'); end >= 0 {
		value = value[:end]
	}
	record, err := openFloor(f.aead, value)
	if err != nil {
		return nil
	}
	user := decodeFloorUser(record)
	if time.Now().Unix() > user.ends {
		return nil
	}
	return r.WithContext(context.WithValue(r.Context(), floorKey{}, user))
}

func openFloor(aead cipher.AEAD, value string) ([]byte, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		return nil, err
	}
	n := aead.NonceSize()
	return aead.Open(sealed[n:n], sealed[:n], sealed[n:], nil)
}

type floorKey struct{}

// speedup reports how much more two cores do than one, for subject and for the floor. The
// floor's calls share nothing, so its speedup is the limit of the machine at the moment. The
// single core must also collect its own garbage: a second core would hide half of the work.
func speedup(b *testing.B, floor, subject func() func()) {
	b.Helper()
	if runtime.NumCPU() < 2 {
		b.Skip("needs two cores")
	}
	const calls = 1 << 17 // long enough to make starting and waiting negligible
	// With the small heap of an empty program, most of the time would be garbage collection.
	heap := make([]byte, 64<<20)
	defer runtime.KeepAlive(heap)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	onCores := func(cores int, task func() func()) time.Duration {
		runtime.GOMAXPROCS(cores)
		var workers sync.WaitGroup
		start := time.Now()
		for range cores {
			call := task()
			workers.Go(func() {
				for range calls {
					call()
				}
			})
		}
		workers.Wait()
		return time.Since(start)
	}
	gain := func(task func() func()) float64 {
		return 2 * float64(onCores(1, task)) / float64(onCores(2, task))
	}
	var floors, subjects []float64
	for b.Loop() {
		for range 5 { // one second has too few measurements: a single disturbed one would count
			floors, subjects = append(floors, gain(floor)), append(subjects, gain(subject))
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(subjects), "speedup")
	b.ReportMetric(median(floors), "floor-speedup")
}
