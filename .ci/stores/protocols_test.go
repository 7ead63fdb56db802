package stores_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"strconv"
	"strings"
)

// newRedisParser parses commands, which are arrays of strings. Commands that manage the
// connection do not count as operations.
func newRedisParser() parser {
	return func(r *bufio.Reader) (message []byte, operation string, err error) {
		number := func() (n int) {
			var line []byte
			if line, err = r.ReadBytes('\n'); err == nil {
				message = append(message, line...)
				n, err = strconv.Atoi(strings.TrimSpace(string(line[1:])))
			}
			return n
		}
		words := number()
		for i := 0; i < words && err == nil; i++ {
			word := make([]byte, number()+len("\r\n"))
			if err == nil {
				_, err = io.ReadFull(r, word)
				message = append(message, word...)
			}
			if i == 0 {
				operation = strings.ToUpper(strings.TrimSpace(string(word)))
			}
		}
		switch operation {
		case "HELLO", "CLIENT", "SELECT", "PING":
			operation = ""
		}
		return message, operation, err
	}
}

// newPostgresParser parses the messages of a frontend
// (https://www.postgresql.org/docs/current/protocol-message-formats.html). An
// operation is an executed statement, by its first word.
func newPostgresParser() parser {
	started := false
	statements := make(map[string]string) // verbs by the statement's name
	return func(r *bufio.Reader) (message []byte, operation string, err error) {
		header := make([]byte, 5) // type and length
		if !started {
			header = header[1:] // the first message has no type
		}
		if _, err := io.ReadFull(r, header); err != nil {
			return nil, "", err
		}
		length := binary.BigEndian.Uint32(header[len(header)-4:]) - 4
		body := make([]byte, length)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, "", err
		}
		message = append(header, body...)
		if !started {
			started = true
			return message, "", nil
		}
		texts := bytes.SplitN(body, []byte{0}, 3)
		switch header[0] {
		case 'Q': // the statement
			operation = verb(texts[0])
		case 'P': // name, statement
			statements[string(texts[0])] = verb(texts[1])
		case 'B': // portal, name of the statement
			operation = statements[string(texts[1])]
		}
		return message, operation, nil
	}
}

// verb returns what a statement does to rows, or "".
func verb(statement []byte) string {
	word, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(string(statement))), " ")
	switch word {
	case "SELECT", "INSERT", "UPDATE", "DELETE":
		return word
	}
	return ""
}
