package r4json

import (
	"math"
	"reflect"
	"time"

	dtpb "github.com/google/fhir/go/proto/google/fhir/proto/r4/core/datatypes_go_proto"
)

// temporal reads a date, dateTime, instant or time of day.
func (d *decoding) temporal(e *element, m reflect.Value) bool {
	raw, plain, ok := d.quoted()
	if !ok {
		return false
	}
	if !plain {
		return d.giveUp(Value)
	}
	switch e.kind {
	case kindTime:
		us, digits, rest, ok := clock(raw)
		if !ok || len(rest) > 0 {
			break
		}
		return e.put(m, reflect.ValueOf(&dtpb.Time{ValueUs: us, Precision: []dtpb.Time_Precision{
			dtpb.Time_SECOND, dtpb.Time_MILLISECOND, dtpb.Time_MICROSECOND,
		}[fraction(digits)]}))
	case kindDate:
		us, parts, ok := d.day(raw)
		if !ok {
			break
		}
		return e.put(m, reflect.ValueOf(&dtpb.Date{ValueUs: us, Timezone: d.zone.String(), Precision: []dtpb.Date_Precision{
			dtpb.Date_YEAR, dtpb.Date_MONTH, dtpb.Date_DAY,
		}[parts]}))
	case kindDateTime:
		if len(raw) <= len(time.DateOnly) {
			us, parts, ok := d.day(raw)
			if !ok {
				break
			}
			return e.put(m, reflect.ValueOf(&dtpb.DateTime{ValueUs: us, Timezone: d.zone.String(), Precision: []dtpb.DateTime_Precision{
				dtpb.DateTime_YEAR, dtpb.DateTime_MONTH, dtpb.DateTime_DAY,
			}[parts]}))
		}
		us, zone, digits, ok := d.moment(raw)
		if !ok {
			break
		}
		return e.put(m, reflect.ValueOf(&dtpb.DateTime{ValueUs: us, Timezone: zone, Precision: []dtpb.DateTime_Precision{
			dtpb.DateTime_SECOND, dtpb.DateTime_MILLISECOND, dtpb.DateTime_MICROSECOND,
		}[fraction(digits)]}))
	case kindInstant:
		us, zone, digits, ok := d.moment(raw)
		if !ok {
			break
		}
		return e.put(m, reflect.ValueOf(&dtpb.Instant{ValueUs: us, Timezone: zone, Precision: []dtpb.Instant_Precision{
			dtpb.Instant_SECOND, dtpb.Instant_MILLISECOND, dtpb.Instant_MICROSECOND,
		}[fraction(digits)]}))
	}
	return d.giveUp(Value)
}

// day reads YYYY, YYYY-MM or YYYY-MM-DD as the first instant of it in the zone of the site. parts is 0, 1 or 2.
func (d *decoding) day(b []byte) (us int64, parts int, ok bool) {
	year, month, day, parts, ok := civil(b)
	if !ok {
		return 0, 0, false
	}
	return micros(time.Date(year, time.Month(month), day, 0, 0, 0, 0, d.zone).Unix(), 0), parts, true
}

// moment reads YYYY-MM-DDThh:mm:ss with an optional fraction and an offset. digits are those of the fraction.
func (d *decoding) moment(b []byte) (us int64, zone string, digits int, ok bool) {
	const date = len(time.DateOnly)
	if len(b) < len("2006-01-02T15:04:05Z") || b[date] != 'T' {
		return 0, "", 0, false
	}
	year, month, day, _, ok := civil(b[:date])
	if !ok {
		return 0, "", 0, false
	}
	of, digits, rest, ok := clock(b[date+1:])
	if !ok {
		return 0, "", 0, false
	}
	zone, offset, ok := d.offset(rest)
	if !ok {
		return 0, "", 0, false
	}
	midnight := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Unix()
	return micros(midnight+of/1e6-int64(offset), of%1e6), zone, digits, true
}

// micros are microseconds since 1970. As in jsonformat, what lies beyond the years 1677 to 2262 loses its fraction.
func micros(seconds, fraction int64) int64 {
	if seconds >= math.MaxInt64/int64(time.Second) || seconds <= math.MinInt64/int64(time.Second) {
		fraction = 0
	}
	return seconds*1e6 + fraction
}

// civil reads a date that exists. Of what is not written the first is taken. parts are those after the year.
func civil(b []byte) (year, month, day, parts int, ok bool) {
	month, day = 1, 1
	switch len(b) {
	case 10:
		if day, ok = two(b[8:]); !ok || b[7] != '-' {
			return 0, 0, 0, 0, false
		}
		parts++
		fallthrough
	case 7:
		if month, ok = two(b[5:]); !ok || b[4] != '-' {
			return 0, 0, 0, 0, false
		}
		parts++
		fallthrough
	case 4:
		century, ok1 := two(b)
		rest, ok2 := two(b[2:])
		year = century*100 + rest
		ok = ok1 && ok2 && year > 0 && month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month)
	}
	return year, month, day, parts, ok
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// clock reads hh:mm:ss with an optional fraction, of which the first six digits count, and returns what follows.
func clock(b []byte) (us int64, digits int, rest []byte, ok bool) {
	const length = len("15:04:05")
	if len(b) < length || b[2] != ':' || b[5] != ':' {
		return 0, 0, nil, false
	}
	h, ok1 := two(b)
	m, ok2 := two(b[3:])
	s, ok3 := two(b[6:])
	if !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || s > 59 {
		return 0, 0, nil, false
	}
	us = int64(h*3600+m*60+s) * 1e6
	rest = b[length:]
	if len(rest) == 0 || rest[0] != '.' {
		return us, 0, rest, true
	}
	rest = rest[1:]
	for unit := int64(100_000); digits < len(rest) && '0' <= rest[digits] && rest[digits] <= '9'; unit /= 10 {
		us += int64(rest[digits]-'0') * unit
		digits++
	}
	return us, digits, rest[digits:], digits > 0
}

// fraction is the precision of a number of digits after the second: 0 for seconds, 1 for milliseconds, 2 for microseconds.
func fraction(digits int) int {
	switch {
	case digits == 0:
		return 0
	case digits <= 3:
		return 1
	}
	return 2
}

// offset reads Z or an offset up to 14:00 in seconds. The proto keeps it as it is written.
func (d *decoding) offset(b []byte) (zone string, seconds int, ok bool) {
	if len(b) == 1 && b[0] == 'Z' {
		return "Z", 0, true
	}
	if len(b) != len("+00:00") || b[0] != '+' && b[0] != '-' || b[3] != ':' {
		return "", 0, false
	}
	h, ok1 := two(b[1:])
	m, ok2 := two(b[4:])
	if !ok1 || !ok2 || m > 59 || h > 14 || h == 14 && m > 0 {
		return "", 0, false
	}
	seconds = h*3600 + m*60
	if b[0] == '-' {
		if seconds == 0 {
			return "+00:00", 0, true
		}
		seconds = -seconds
	}
	zone, ok = d.known.get(b, classLabel)
	return zone, seconds, ok
}

// two reads two digits.
func two(b []byte) (int, bool) {
	if len(b) < 2 || b[0]-'0' > 9 || b[1]-'0' > 9 {
		return 0, false
	}
	return int(b[0]-'0')*10 + int(b[1]-'0'), true
}
