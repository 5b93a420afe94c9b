# Computes the statistics of a report anew and compares them with what stands in its CSV files:
#   trialwatch report --session closed --csv DIR --times … && Rscript internal/report/check.R DIR
# Shares and Fisher's tests need the tables alone; curves, medians, log-rank and rank-sum tests need times.csv (--times). Every answer is R's own: binom.test,
# fisher.test, survfit (log-log), survdiff; rank-sum tests of small groups are counted out over all permutations, as R has none with ties.
suppressPackageStartupMessages(library(survival))
dir <- commandArgs(TRUE)[1]
if (is.na(dir)) stop("usage: Rscript check.R DIR")
read <- function(name) read.csv(file.path(dir, name), check.names = FALSE, encoding = "UTF-8", na.strings = "",
  colClasses = c(table = "character", group = "character", row = "character", part = "character"))
about <- read.csv(file.path(dir, "about.csv"))
month <- as.numeric(about$value[about$name == "days of a month"]) # absent where the protocol has no survival
tables <- do.call(rbind, lapply(setdiff(list.files(dir, "[.]csv$"), c("about.csv", "times.csv")), read))
times <- if (file.exists(file.path(dir, "times.csv"))) read("times.csv") else NULL

agreed <- list(); wrong <- character()
# check compares figures that were rounded, to decimal places or to significant figures, with those of R: half a unit of the last place apart is the same, for a
# five may be rounded either way.
check <- function(kind, where, here, r, digits = NA, signif = NA) {
  unit <- if (!is.na(digits)) 10^-digits else if (!is.na(signif)) 10^(floor(log10(pmax(abs(r), 1e-300))) - signif + 1) else 0
  tolerance <- 0.5 * unit + 1e-9 * pmax(1, abs(r))
  same <- is.na(here) == is.na(r) & (is.na(r) | abs(here - r) <= tolerance)
  n <- if (is.null(agreed[[kind]])) 0 else agreed[[kind]]
  if (all(same)) agreed[[kind]] <<- n + 1
  else wrong <<- c(wrong, sprintf("%s, %s: the report says %s, R %s", kind, where, paste(here, collapse = " "), paste(r, collapse = " ")))
}
eq <- function(a, b) (is.na(a) & is.na(b)) | (!is.na(a) & !is.na(b) & a == b)
same_row <- function(d, t) d[eq(d$table, t$table) & eq(d$group, t$group) & eq(d$row, t$row), ]
where <- function(t) paste(na.omit(c(t$table, t$group, t$row, t$part, t$arm)), collapse = " / ")
arms <- unique(tables$arm[!tables$arm %in% c("all", "comparison")])

# rank_sum: the share of all ways to choose the first group whose rank sum lies as far from its mean.
rank_sum <- function(a, b) {
  r <- rank(c(a, b)); n <- length(a)
  if (choose(length(r), n) > 5e5) return(suppressWarnings(wilcox.test(a, b, exact = FALSE)$p.value))
  off <- abs(combn(length(r), n, function(i) sum(r[i])) - n * (length(r) + 1) / 2)
  mean(off >= abs(sum(r[seq_len(n)]) - n * (length(r) + 1) / 2) - 1e-9)
}
# values of the patients of an arm, or of all.
values <- function(d, arm) if (arm == "all") d else d[d$arm == arm, ]
km <- function(d) survfit(Surv(d$value / month, d$event) ~ 1, conf.type = "log-log")

for (i in seq_len(nrow(tables))) {
  t <- tables[i, ]; at <- where(t)
  if (t$statistic == "percent" && t$of > 0) {
    check("exact limits of a share", at, c(t$value, t$low, t$high), 100 * c(t$n / t$of, binom.test(t$n, t$of)$conf.int), digits = 1)
    next
  }
  if (t$statistic == "p, Fisher") {
    d <- same_row(tables, t); d <- d[eq(d$part, t$part) & d$statistic == "percent" & d$arm %in% arms, ]
    check("Fisher's exact test", at, t$value, fisher.test(cbind(d$n, d$of - d$n))$p.value, signif = 4)
    next
  }
  if (is.null(times)) next
  d <- switch(t$table, survival = times[eq(times$table, "survival") & eq(times$group, t$group), ],
              stay = if (t$row == "Days") times[eq(times$table, "stay"), ], biomarkers = same_row(times, t))
  if (is.null(d) || nrow(d) == 0) next
  x <- values(d, t$arm)
  if (t$statistic == "p, rank sum") {
    check("rank-sum test", at, t$value, rank_sum(d$value[d$arm == arms[1]], d$value[d$arm == arms[2]]), signif = 4)
  } else if (t$statistic == "p, log-rank") {
    check("log-rank test", at, t$value, survdiff(Surv(value, event) ~ arm, d)$pvalue, signif = 4)
  } else if (t$statistic == "median" && nrow(x) > 0) {
    r <- qbinom(0.025, nrow(x), 0.5); v <- sort(x$value)
    limits <- if (r > 0) c(v[r], v[nrow(x) + 1 - r]) else c(NA, NA)
    check("median and its limits", at, c(t$value, t$low, t$high, t$min, t$max), c(median(v), limits, range(v)))
  } else if (t$statistic == "median, quartiles") {
    check("median and quartiles", at, c(t$value, t$low, t$high), unname(quantile(x$value, c(0.5, 0.25, 0.75))), signif = 4)
  } else if (t$statistic == "events") {
    check("events of a curve", at, c(t$n, t$of), c(sum(x$event), nrow(x)))
  } else if (t$statistic == "KM median" && nrow(x) > 0) {
    check("Kaplan-Meier median and its limits", at, c(t$value, t$low, t$high), unname(summary(km(x))$table[c("median", "0.95LCL", "0.95UCL")]), digits = 2)
  } else if (t$statistic == "reverse KM median" && nrow(x) > 0) {
    x$event <- 1 - x$event
    check("median follow-up", at, t$value, unname(summary(km(x))$table["median"]), digits = 2)
  } else if (t$statistic == "KM share" && nrow(x) > 0) {
    m <- as.numeric(gsub("[^0-9]", "", t$row)); s <- summary(km(x), times = m, extend = TRUE)
    if (m > max(x$value) / month && s$surv > 0) s$surv <- s$lower <- s$upper <- NA # followed no longer
    check("Kaplan-Meier share and number at risk", at, c(t$value, t$n), c(s$surv, sum(x$value / month >= m)), digits = 3)
    if (!is.na(s$surv) && s$surv > 0 && s$surv < 1) check("Kaplan-Meier limits", at, c(t$low, t$high), c(s$lower, s$upper), digits = 3)
  }
}
for (kind in names(agreed)) cat(sprintf("%5d  %s\n", agreed[[kind]], kind))
if (is.null(times)) cat("No times.csv: curves, medians and rank tests are not computed.\n")
if (length(wrong) > 0) { cat(paste0(wrong, "\n"), sep = ""); quit(status = 1) }
cat("R agrees with every figure above.\n")
