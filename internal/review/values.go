package review

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/trialwatch/trialwatch/rules/ctcae"
	"github.com/trialwatch/trialwatch/rules/decimal"
	"github.com/trialwatch/trialwatch/rules/protocol"
)

// field is one key of a protocol in words. A key that a struct has and no list names is not explained, and a test says so.
type field struct {
	key     string
	label   string
	meaning string
}

// rows writes the fields of a struct that are set: label, value, meaning.
func rows(v any, fields []field) [][]string {
	s := reflect.Indirect(reflect.ValueOf(v))
	var rows [][]string
	for _, f := range fields {
		x := byKey(s, f.key)
		if !x.IsValid() || x.IsZero() {
			continue
		}
		rows = append(rows, []string{f.label, value(x), f.meaning})
	}
	return rows
}

// byKey is the field of a struct by its key in the file, the invalid value if there is none.
func byKey(s reflect.Value, key string) reflect.Value {
	for i := range s.NumField() {
		if keyOf(s.Type().Field(i)) == key {
			return s.Field(i)
		}
	}
	return reflect.Value{}
}

// keyOf is the key of a field in the file, "" if it does not stand there.
func keyOf(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if key == "-" {
		return ""
	}
	return key
}

// value writes what a key holds.
func value(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case protocol.Duration:
		return span(x)
	case protocol.Quantity:
		return quantity(x)
	case protocol.Single:
		return single(x)
	case decimal.Number:
		return number(x)
	case ctcae.Version:
		return string(x)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return ""
		}
		return value(v.Elem())
	case reflect.Bool:
		if v.Bool() {
			return "yes"
		}
		return "no"
	case reflect.Slice:
		var parts []string
		for i := range v.Len() {
			if v.Index(i).Kind() == reflect.String {
				parts = append(parts, code(v.Index(i).String()))
			} else {
				parts = append(parts, value(v.Index(i)))
			}
		}
		return strings.Join(parts, ", ")
	case reflect.Map:
		var parts []string
		for _, k := range v.MapKeys() {
			parts = append(parts, code(fmt.Sprint(k.Interface()))+": "+value(v.MapIndex(k)))
		}
		slices.Sort(parts)
		return strings.Join(parts, ", ")
	case reflect.Struct:
		var parts []string
		for i := range v.NumField() {
			if key := keyOf(v.Type().Field(i)); key != "" && !v.Field(i).IsZero() {
				parts = append(parts, key+" "+value(v.Field(i)))
			}
		}
		return strings.Join(parts, ", ")
	}
	return plain(fmt.Sprint(v.Interface()))
}

// number is exact, with a comma at every thousand.
func number(n decimal.Number) string {
	s := n.Round().String()
	whole, rest, point := strings.Cut(s, ".")
	digits := strings.TrimPrefix(whole, "-")
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if strings.HasPrefix(whole, "-") {
		digits = "−" + digits
	}
	if point {
		digits += "." + rest
	}
	return digits
}

func quantity(q protocol.Quantity) string { return number(q.Value) + " " + plain(q.Unit) }

func single(s protocol.Single) string {
	return strings.Replace(plain(s.Comparator), ">=", "≥", 1) + " " + number(s.Value) + " " + plain(s.Unit)
}

// hours is a duration in hours and minutes, however long.
func hours(t time.Duration) string {
	if m := t % time.Hour / time.Minute; m != 0 {
		return fmt.Sprintf("%d h %d min", t/time.Hour, m)
	}
	return fmt.Sprintf("%d h", t/time.Hour)
}

// span is a duration in words: "8 h", "90 min", "5 days (120 h)".
func span(d protocol.Duration) string {
	t := d.D()
	h, m := int(t/time.Hour), int(t%time.Hour/time.Minute)
	switch {
	case t == 0:
		return "0"
	case t%(24*time.Hour) == 0 && t > 48*time.Hour:
		return fmt.Sprintf("%d days (%d h)", h/24, h)
	case m == 0:
		return fmt.Sprintf("%d h", h)
	case h == 0:
		return fmt.Sprintf("%d min", m)
	}
	return fmt.Sprintf("%d h %d min", h, m)
}

// sentence joins parts with full stops.
func sentence(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		if p = strings.TrimSpace(p); p == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(p)
		if !strings.HasSuffix(p, ".") && !strings.HasSuffix(p, "?") {
			b.WriteByte('.')
		}
	}
	return b.String()
}

func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
