package r4json

import (
	"fmt"
	"reflect"
)

// Forget takes a check out of all plans made so far and returns a function that puts it back: "required" elements or the "targets" of references. The
// differential tests must notice.
func Forget(check string) (restore func()) {
	var undo []func()
	for _, p := range plans.of {
		switch check {
		case "required":
			kept := p.required
			p.required = nil
			undo = append(undo, func() { p.required = kept })
		case "targets":
			for _, row := range p.elements.rows {
				if e := row.value; e != nil {
					kept := e.targets
					e.targets = nil
					undo = append(undo, func() { e.targets = kept })
				}
			}
		}
	}
	return func() {
		for _, f := range undo {
			f()
		}
	}
}

// CheckPlans makes the plan of every message of R4 and says what does not fit.
func CheckPlans() (messages int, problems []string) {
	seen := map[*plan]bool{}
	var visit func(p *plan)
	visit = func(p *plan) {
		if p == nil || seen[p] {
			return
		}
		seen[p] = true
		slots := map[uint8]bool{}
		p.fill()
		for _, row := range p.elements.rows {
			name, e := row.name, row.value
			if e == nil {
				continue
			}
			slots[e.slot] = true
			if e.slot >= maxSlots || e.slot == maxSlots-1 && e.kind != kindResourceType {
				problems = append(problems, fmt.Sprintf("%s.%s: slot %d", p.goType, name, e.slot))
			}
			if e.choice != nil && e.repeated {
				problems = append(problems, fmt.Sprintf("%s.%s: a repeated choice", p.goType, name))
			}
			visit(e.plan)
			if e.kind.primitive() && e.kind != kindXhtml && requiresValue(e.goType) {
				problems = append(problems, fmt.Sprintf("%s.%s: a primitive without a value is refused", p.goType, name))
			}
		}
	}
	for _, row := range resourceTypes().rows {
		if row.value != nil {
			visit(row.value.plan)
		}
	}
	return len(seen), problems
}

// requiresValue reports whether a field that is no message is required of a message.
func requiresValue(t reflect.Type) bool {
	fields := descriptorOf(t).Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); f.Message() == nil && isRequired(f) {
			return true
		}
	}
	return false
}

// Pattern reports whether a string matches what is asked of a type: "id", "code", "oid", "uuid" or "uri".
func Pattern(typ, s string) bool {
	switch typ {
	case "id":
		return validID(s)
	case "code":
		return validCode(s)
	case "oid":
		return validOID(s)
	case "uuid":
		return validUUID(s)
	}
	return validURI(s)
}
