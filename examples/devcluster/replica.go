package devcluster

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
)

// A replica is a process of the program, which is restarted when it ends.
type replica struct {
	name        string
	environment func(name string) []string

	// use is held for reading by each request to the process, and for writing
	// while the process starts or ends. A restart therefore waits for requests
	// in progress. Meanwhile the balancer, which does not wait for the lock,
	// uses other replicas.
	use     sync.RWMutex
	process *process // nil: not running
}

type process struct {
	command *exec.Cmd
	url     *url.URL      // the address on which it listens
	ended   chan struct{} // closed when it has ended
}

var errNotStarted = errors.New("a replica did not start")

// restart ends the process, if there is one, and starts another. It returns
// when the new process listens.
func (r *replica) restart() error {
	r.use.Lock()
	defer r.use.Unlock()
	r.endProcess()
	return r.startProcess()
}

// end ends the process without a restart.
func (r *replica) end() {
	r.use.Lock()
	defer r.use.Unlock()
	r.endProcess()
}

func (r *replica) endProcess() {
	if p := r.process; p != nil {
		r.process = nil
		_ = p.command.Process.Signal(syscall.SIGTERM)
		<-p.ended
	}
}

func (r *replica) startProcess() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	p := &process{command: exec.Command(program), ended: make(chan struct{})}
	p.command.Env = r.environment(r.name)
	output, err := p.command.StderrPipe()
	if err != nil {
		return err
	}
	if _, err := p.command.StdinPipe(); err != nil { // the replica exits when this process ends
		return err
	}
	if err := p.command.Start(); err != nil {
		return err
	}
	listening := make(chan *url.URL, 1)
	go func() {
		r.log(output, listening)
		_ = p.command.Wait()
		close(p.ended)
		r.replace(p)
	}()
	select {
	case p.url = <-listening:
	case <-p.ended:
		return errNotStarted
	}
	r.process = p
	return nil
}

// log prints the output of a process. One line has the address on which it
// listens.
func (r *replica) log(output io.Reader, listening chan<- *url.URL) {
	for lines := bufio.NewScanner(output); lines.Scan(); {
		fmt.Fprintf(os.Stderr, "replica %s: %s\n", r.name, lines.Text())
		if _, address, ok := strings.Cut(lines.Text(), "listening on "); ok {
			if u, err := url.Parse(address); err == nil && len(listening) == 0 {
				listening <- u
			}
		}
	}
}

// replace starts another process if p has ended unexpectedly.
func (r *replica) replace(p *process) {
	r.use.Lock()
	defer r.use.Unlock()
	if r.process != p {
		return
	}
	log.Printf("replica %s has died; starting another process", r.name)
	r.process = nil
	if err := r.startProcess(); err != nil {
		log.Printf("replica %s: %v", r.name, err)
	}
}

// kill ends the process without a warning, like a power failure.
func (r *replica) kill() {
	r.use.RLock()
	defer r.use.RUnlock()
	if r.process != nil {
		_ = r.process.command.Process.Kill()
	}
}
