// Checks a log that a gate wrote with nothing of the gate's: Go's own reader of signed notes and of transparency
// logs (golang.org/x/mod/sumdb, the one that `go get` trusts), unmodified.
//
//	verify [-key VKEY] [-old CHECKPOINT] [-every N] DIR/NODE.tlog
//
// It opens the signed checkpoint, proves every Nth record to be in its tree (and the last one), proves that the
// tree begins with that of an older checkpoint, and makes sure that what it relies on notices a flipped bit of
// each thing that it reads. Records are read from the segments beside the tree; those that were pruned are
// counted and left out. Exits with 1 if anything is not as it should be.
//
// Debian has what it needs: golang-go, golang-golang-x-mod-dev, and zstd for segments that are closed.
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run verify.go …
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// How many tree levels a tile has, as the C2SP layout fixes it.
const tileHeight = 8

// The longest line that is read: the bound of a record and more.
const maxLine = 1 << 20

// head is a checkpoint whose signature has been checked.
type head struct {
	origin string
	tlog.Tree
}

// openHead reads a checkpoint that key signed. The three lines are C2SP's; only the signature and the tree are Go's.
func openHead(text []byte, key note.Verifier) (head, error) {
	opened, err := note.Open(text, note.VerifierList(key))
	if err != nil {
		return head{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != key.Name() {
		return head{}, errors.New("the checkpoint is not of the log that the key names")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return head{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return head{}, err
	}
	return head{lines[0], tlog.Tree{N: size, Hash: root}}, nil
}

// tiles reads the tiles of a directory. Go's own check of each against the signed root is in TileHashReader.
type tiles struct {
	directory string
	// A bit to flip in what is read, for a test of the test; -1 for none.
	flip int
}

func (t *tiles) Height() int                     { return tileHeight }
func (t *tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range wanted {
		data, err := t.read(tile)
		if err != nil {
			return nil, err
		}
		if t.flip >= 0 {
			data[t.flip/8%len(data)] ^= 1 << (t.flip % 8)
		}
		all = append(all, data)
	}
	return all, nil
}

func (t *tiles) read(tile tlog.Tile) ([]byte, error) {
	// Go says the height of tiles first (tile/8/0/001), C2SP fixes it and does not (tile/0/001).
	path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
	data, err := os.ReadFile(filepath.Join(t.directory, path))
	if os.IsNotExist(err) && tile.W < 1<<tileHeight {
		// A partial tile may be gone once there is the full one, which begins with it.
		full := tile
		full.W = 1 << tileHeight
		path = strings.Replace(full.Path(), "tile/8/", "tile/", 1)
		data, err = os.ReadFile(filepath.Join(t.directory, path))
	}
	if err != nil {
		return nil, err
	}
	bytes := tile.W * tlog.HashSize
	if len(data) < bytes {
		return nil, fmt.Errorf("%s is short", path)
	}
	return data[:bytes], nil
}

// span says where the records of a generation begin in the tree.
type span struct {
	Generation int64 `json:"generation"`
	Seq        int64 `json:"seq"`
	Index      int64 `json:"index"`
}

func readSpans(directory string) ([]span, error) {
	text, err := os.ReadFile(filepath.Join(directory, "spans"))
	if err != nil {
		return nil, err
	}
	var spans []span
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var next span
		if err := json.Unmarshal(line, &next); err != nil {
			return nil, fmt.Errorf("spans: %w", err)
		}
		spans = append(spans, next)
	}
	return spans, nil
}

// records calls take with every record of a node that is there, and its index in the tree, in order.
func records(directory string, take func(index int64, line []byte) error) error {
	spans, err := readSpans(directory)
	if err != nil {
		return err
	}
	node := strings.TrimSuffix(directory, ".tlog")
	for _, span := range spans {
		segments, err := filepath.Glob(fmt.Sprintf("%s.%06d/*.jsonl*", node, span.Generation))
		if err != nil {
			return err
		}
		sort.Strings(segments)
		for _, segment := range segments {
			name := filepath.Base(segment)
			first, err := strconv.ParseInt(strings.SplitN(name, ".", 2)[0], 10, 64)
			if err != nil {
				return fmt.Errorf("%s is no segment", segment)
			}
			if err := segmentRecords(segment, first-span.Seq+span.Index, take); err != nil {
				return fmt.Errorf("%s: %w", segment, err)
			}
		}
	}
	return nil
}

func segmentRecords(path string, index int64, take func(int64, []byte) error) error {
	var text []byte
	var err error
	switch {
	case strings.HasSuffix(path, ".jsonl"):
		text, err = os.ReadFile(path)
	case strings.HasSuffix(path, ".jsonl.zst"):
		text, err = exec.Command("zstd", "-dc", path).Output()
	default:
		return nil
	}
	if err != nil {
		return err
	}
	// What is not written yet of a segment is zeros.
	if end := bytes.IndexByte(text, 0); end >= 0 {
		text = text[:end]
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxLine)
	for ; lines.Scan(); index++ {
		if err := take(index, lines.Bytes()); err != nil {
			return err
		}
	}
	return lines.Err()
}

// checkRecords proves every Nth record that is there, and the last of the tree.
func checkRecords(directory string, tree head, every int64) (proved, seen int64, err error) {
	reader := tlog.TileHashReader(tree.Tree, &tiles{directory, -1})
	flipped := false
	err = records(directory, func(index int64, line []byte) error {
		if index >= tree.N {
			return nil // Written since the checkpoint was signed.
		}
		seen++
		if index%every != 0 && index != tree.N-1 {
			return nil
		}
		proof, err := tlog.ProveRecord(tree.N, index, reader)
		if err != nil {
			return fmt.Errorf("record %d: %w", index, err)
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(line)); err != nil {
			return fmt.Errorf("record %d is not the one that was signed: %w", index, err)
		}
		proved++
		if flipped {
			return nil
		}
		// Once: every bit of one record.
		for bit := 0; bit < 8*len(line); bit++ {
			line[bit/8] ^= 1 << (bit % 8)
			if tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(line)) == nil {
				return fmt.Errorf("bit %d of record %d may be flipped", bit, index)
			}
			line[bit/8] ^= 1 << (bit % 8)
		}
		fmt.Printf("  each of %d flipped bits of record %d is noticed\n", 8*len(line), index)
		flipped = true
		return nil
	})
	return proved, seen, err
}

// checkGrowth proves that the tree begins with an older one.
func checkGrowth(directory string, old, new head) error {
	if old.N == 0 {
		return nil
	}
	reader := tlog.TileHashReader(new.Tree, &tiles{directory, -1})
	proof, err := tlog.ProveTree(new.N, old.N, reader)
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(proof, new.N, new.Hash, old.N, old.Hash); err != nil {
		return fmt.Errorf("the log does not begin with what it was: %w", err)
	}
	old.Hash[7] ^= 1
	if tlog.CheckTree(proof, new.N, new.Hash, old.N, old.Hash) == nil {
		return errors.New("a flipped bit of the older root is not noticed")
	}
	return nil
}

// checkFlips makes sure that a flipped bit of the checkpoint and of any tile is noticed.
func checkFlips(directory string, text []byte, key note.Verifier, tree head) error {
	for bit := 0; bit < 8*len(text); bit++ {
		spoiled := append([]byte(nil), text...)
		spoiled[bit/8] ^= 1 << (bit % 8)
		if got, err := openHead(spoiled, key); err == nil && got != tree {
			return fmt.Errorf("bit %d of the checkpoint may be flipped", bit)
		}
	}
	for _, bit := range []int{0, 1, 100, 255} {
		reader := tlog.TileHashReader(tree.Tree, &tiles{directory, bit})
		if _, err := tlog.ProveRecord(tree.N, 0, reader); err == nil && tree.N > 1 {
			return fmt.Errorf("bit %d of a tile may be flipped", bit)
		}
	}
	return nil
}

func run() error {
	vkey := flag.String("key", "", "the log's public key, as `pinegate audit key` prints it")
	older := flag.String("old", "", "an older checkpoint of the log, from wherever it was kept")
	every := flag.Int64("every", 1, "prove every Nth record")
	flag.Parse()
	if flag.NArg() != 1 || *vkey == "" || *every < 1 {
		return errors.New("usage: verify -key VKEY [-old CHECKPOINT] [-every N] DIR/NODE.tlog")
	}
	directory := filepath.Clean(flag.Arg(0))
	key, err := note.NewVerifier(strings.TrimSpace(*vkey))
	if err != nil {
		return fmt.Errorf("the key: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(directory, "checkpoint"))
	if err != nil {
		return err
	}
	tree, err := openHead(text, key)
	if err != nil {
		return fmt.Errorf("the checkpoint: %w", err)
	}
	fmt.Printf("the checkpoint of %s is signed: %d records, root %s\n", tree.origin, tree.N, tree.Hash)
	proved, seen, err := checkRecords(directory, tree, *every)
	if err != nil {
		return err
	}
	if proved == 0 {
		return errors.New("there is no record to prove")
	}
	fmt.Printf("  %d of %d records are proved to be in it, %d were pruned\n", proved, seen, tree.N-seen)
	if *older != "" {
		text, err := os.ReadFile(*older)
		if err != nil {
			return err
		}
		old, err := openHead(text, key)
		if err != nil {
			return fmt.Errorf("the older checkpoint: %w", err)
		}
		if err := checkGrowth(directory, old, tree); err != nil {
			return err
		}
		fmt.Printf("  it begins with the %d records of the older checkpoint\n", old.N)
	}
	if err := checkFlips(directory, text, key, tree); err != nil {
		return err
	}
	fmt.Println("  flipped bits of the checkpoint and of tiles are noticed")
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
