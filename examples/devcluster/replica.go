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

// A replica is one process of the program after another.
type replica struct {
	name        string
	environment func(name string) []string

	// use is held for reading by each request that the process answers, and for
	// writing by who starts or ends it: a restart waits for the requests, and in the
	// meantime the balancer, which does not wait, goes elsewhere.
	use     sync.RWMutex
	process *process // nil: there is none, and should be none
}

type process struct {
	command *exec.Cmd
	url     *url.URL      // where it listens
	ended   chan struct{} // is closed then
}

var errNotStarted = errors.New("a replica does not start")

// restart ends the process, if there is one, and starts another. It returns when
// that one listens.
func (r *replica) restart() error {
	r.use.Lock()
	defer r.use.Unlock()
	r.endProcess()
	return r.startProcess()
}

// end ends the process for good.
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
	if _, err := p.command.StdinPipe(); err != nil { // it ends with this process
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

// log passes on what a process prints, of which one line says where it listens.
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

// replace starts another process, if p has ended and should not have.
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

// kill ends the process without a warning, as a machine does that loses power.
func (r *replica) kill() {
	r.use.RLock()
	defer r.use.RUnlock()
	if r.process != nil {
		_ = r.process.command.Process.Kill()
	}
}
