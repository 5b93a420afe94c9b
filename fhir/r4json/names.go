package r4json

// nameTable finds elements by name. A lookup in a Go map is a tenth of the whole decoding, most of it hashing; names of elements differ in their length
// and in three of their bytes more often than not.
type nameTable struct {
	rows []nameRow // a power of two, half of it empty
}

type nameRow struct {
	name string
	e    *element
}

func newNameTable(names map[string]*element) nameTable {
	size := 4
	for size < 2*len(names) {
		size *= 2
	}
	t := nameTable{make([]nameRow, size)}
	for name, e := range names {
		i := t.start([]byte(name))
		for t.rows[i].e != nil {
			i = (i + 1) & (size - 1)
		}
		t.rows[i] = nameRow{name, e}
	}
	return t
}

// find returns the element of a name, nil if there is none.
func (t *nameTable) find(name []byte) *element {
	if len(name) == 0 {
		return nil
	}
	for i := t.start(name); ; i = (i + 1) & (len(t.rows) - 1) {
		row := &t.rows[i]
		if row.e == nil || row.name == string(name) {
			return row.e
		}
	}
}

func (t *nameTable) start(name []byte) int {
	n := len(name)
	return (n*7 + int(name[0])*3 + int(name[n/2])*5 + int(name[n-1])*11) & (len(t.rows) - 1)
}
