/* The first page: every lesson by 学科 and 年级, with its state in words. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  /* Cards made at once; more follow as the teacher scrolls, so 500 lessons open as quickly as 20. */
  var PAGE = 48;

  function subjectOf(lesson) { return (lesson.meta && lesson.meta.subject) || ''; }
  function gradeOf(lesson) { return (lesson.meta && lesson.meta.grade) || ''; }

  function subjectEntry(name) {
    var i;
    for (i = 0; i < BBT.subjects.length; i += 1) {
      if (BBT.subjects[i].name === name) { return BBT.subjects[i]; }
    }
    return { name: name, glyph: name.charAt(0) || '·', colour: 'steel' };
  }

  function rank(list, value) {
    var at = list.indexOf(value);
    return at < 0 ? list.length : at;
  }

  var subjectNames = BBT.subjects.map(function (s) { return s.name; });

  function byText(a, b) { return a < b ? -1 : a > b ? 1 : 0; }

  function bySubject(a, b) { return rank(subjectNames, a) - rank(subjectNames, b) || byText(a, b); }
  function byGrade(a, b) { return rank(BBT.grades, a) - rank(BBT.grades, b) || byText(a, b); }

  /* Within a group the order of the API stands: it is the order of the assignment. */
  function sorted(lessons) {
    return lessons.map(function (lesson, at) { return { lesson: lesson, at: at }; }).sort(function (a, b) {
      return bySubject(subjectOf(a.lesson), subjectOf(b.lesson)) ||
        byGrade(gradeOf(a.lesson), gradeOf(b.lesson)) || a.at - b.at;
    }).map(function (entry) { return entry.lesson; });
  }

  function distinct(lessons, of, order) {
    var seen = {}, values = [];
    lessons.forEach(function (lesson) {
      var value = of(lesson);
      if (value && !Object.prototype.hasOwnProperty.call(seen, value)) {
        seen[value] = true;
        values.push(value);
      }
    });
    return values.sort(order);
  }

  BBT.subjectEntry = subjectEntry;

  /* The named fields that are there, with dots between; 年级 and 册次 stand together as they are spoken. */
  BBT.placeOf = function (lesson, names) {
    var meta = BBT.data.meta(lesson);
    return names.map(function (name) {
      return name === 'grade' ? (meta.grade || '') + (meta.volume || '') : meta[name];
    }).filter(Boolean).join(' · ');
  };

  /* A lesson whose manifest is still on its way has no title yet. */
  BBT.titleOf = function (lesson) {
    return BBT.data.meta(lesson).title || t('shelf.unnamed');
  };

  /* Whether a title needs a second line on its card: wide characters count one, others half. */
  function isLong(title) {
    return title.length - (title.match(/[ -~]/g) || []).length / 2 > 10;
  }

  /* {icon, text, kind} of a lesson's state, for cards. */
  BBT.stateOf = function (lesson) {
    switch (lesson.state) {
      case 'ready': return { kind: 'ready', icon: 'check', text: t('state.ready') };
      case 'queued': return { kind: 'queued', icon: 'clock', text: t('state.queued') };
      case 'fetching':
        return { kind: 'fetching', icon: 'arrive', text: t('state.fetching', { percent: BBT.data.percent(lesson) }) };
      case 'failed': return { kind: 'failed', icon: 'warn', text: t(BBT.data.reasonKey(lesson)) };
      default: return { kind: 'queued', icon: 'clock', text: t('state.unknown') };
    }
  };

  BBT.progressBar = function (lesson) {
    var fill = h('div', { 'class': 'progress-fill' });
    fill.style.width = BBT.data.percent(lesson) + '%';
    return h('div', { 'class': 'progress' }, [fill]);
  };

  function kindIcons(lesson) {
    var seen = {}, icons = [];
    (lesson.items || []).forEach(function (item) {
      if (!seen[item.kind]) {
        seen[item.kind] = true;
        icons.push(BBT.icon(BBT.kindIcon(item.kind)));
      }
    });
    return h('div', { 'class': 'card-kinds' }, icons);
  }

  BBT.kindIcon = function (kind) {
    return ['video', 'audio', 'image', 'pdf', 'html5', 'office'].indexOf(kind) >= 0 ? kind : 'other';
  };

  function card(lesson) {
    var subject = subjectEntry(subjectOf(lesson));
    var state = BBT.stateOf(lesson);
    var title = BBT.titleOf(lesson);
    return h('a', {
      'class': 'card card-' + state.kind,
      href: '#/lesson/' + encodeURIComponent(lesson.id),
      'data-lesson': lesson.id
    }, [
      h('div', { 'class': 'card-glyph tone-' + subject.colour, text: subject.glyph, 'aria-hidden': 'true' }),
      h('div', { 'class': 'card-body' }, [
        h('h3', { 'class': 'card-title', text: title }),
        h('p', { 'class': 'card-place', text: BBT.placeOf(lesson, ['grade', 'period']) }),
        isLong(title) ? null : h('p', { 'class': 'card-place', text: BBT.placeOf(lesson, ['chapter']) }),
        h('div', { 'class': 'card-foot' }, [
          h('div', { 'class': 'state state-' + state.kind }, [BBT.icon(state.icon), h('span', { text: state.text })]),
          lesson.state === 'ready' ? kindIcons(lesson) : null
        ]),
        lesson.state === 'fetching' ? BBT.progressBar(lesson) : null
      ])
    ]);
  }

  function chip(text, on, pick, tone) {
    return h('button', {
      type: 'button', 'class': 'chip' + (on ? ' chip-on' : '') + (tone ? ' chip-' + tone : ''),
      'aria-pressed': on ? 'true' : 'false', onclick: pick
    }, [h('span', { text: text })]);
  }

  function hashOf(subject, grade) {
    return '#/' + (subject || grade ? '?' + [subject, grade].map(encodeURIComponent).join('&') : '');
  }

  /* The view: {el, update(), dock}. `filter` is {subject, grade} from the route. */
  BBT.shelfView = function (filter) {
    var rail = h('nav', { 'class': 'rail' });
    var main = h('main', { 'class': 'shelf', tabindex: '-1' });
    var el = h('div', { 'class': 'view view-shelf' }, [rail, main]);
    var gradeBar = h('div', { 'class': 'grade-bar' });
    var shown = PAGE;

    function pick(subject, grade) {
      return function () { BBT.go(hashOf(subject, grade), true); };
    }

    function drawFilters(lessons) {
      var subjects = distinct(lessons, subjectOf, bySubject);
      var inSubject = lessons.filter(function (l) { return !filter.subject || subjectOf(l) === filter.subject; });
      var grades = distinct(inSubject, gradeOf, byGrade);
      if (filter.grade && grades.indexOf(filter.grade) < 0) { grades.push(filter.grade); }
      BBT.empty(rail).appendChild(chip(t('shelf.all_subjects'), !filter.subject, pick('', filter.grade)));
      subjects.forEach(function (name) {
        /* A grade that the subject does not have would show an empty page. */
        var keeps = lessons.some(function (l) { return subjectOf(l) === name && gradeOf(l) === filter.grade; });
        rail.appendChild(chip(name, filter.subject === name, pick(name, keeps ? filter.grade : ''),
          subjectEntry(name).colour));
      });
      BBT.empty(gradeBar).appendChild(chip(t('shelf.all_grades'), !filter.grade, pick(filter.subject, '')));
      grades.forEach(function (name) {
        gradeBar.appendChild(chip(name, filter.grade === name, pick(filter.subject, name)));
      });
    }

    function nothing(total) {
      if (total) {
        return BBT.message({
          icon: 'search', title: t('shelf.none_title'), text: t('shelf.none_text'),
          button: BBT.button({ text: t('shelf.show_all'), 'class': 'button-primary', onclick: pick('', '') })
        });
      }
      if (BBT.data.shelf.preparing) {
        return BBT.message({ icon: 'clock', title: t('shelf.loading'), text: t('shelf.preparing_text') });
      }
      return BBT.message({ icon: 'book', title: t('shelf.empty_title'), text: t('shelf.empty_text') });
    }

    function drawCards(lessons) {
      var list = sorted(lessons.filter(function (lesson) {
        return (!filter.subject || subjectOf(lesson) === filter.subject) &&
          (!filter.grade || gradeOf(lesson) === filter.grade);
      }));
      var counts = {}, current = null, grid = null, groups = h('div', { 'class': 'groups' });
      /* One heading for what the filters leave open; by subject and grade at once, rows would hold one card each. */
      var groupOf = filter.subject && !filter.grade ? gradeOf : subjectOf;
      list.forEach(function (lesson) {
        var key = 'of ' + groupOf(lesson);
        counts[key] = (counts[key] || 0) + 1;
      });
      list.slice(0, shown).forEach(function (lesson) {
        var key = 'of ' + groupOf(lesson);
        if (key !== current) {
          current = key;
          grid = h('div', { 'class': 'grid' });
          /* Groups of one and of two stand side by side. */
          groups.appendChild(h('section', { 'class': 'group' + (counts[key] < 3 ? ' group-' + counts[key] : '') }, [
            h('h2', { 'class': 'group-title' }, [
              h('span', { text: [filter.subject || subjectOf(lesson), groupOf === gradeOf ? gradeOf(lesson) : filter.grade].filter(Boolean).join(' · ') }),
              h('small', { text: t('shelf.count', { n: counts[key] }) })
            ]),
            grid
          ]));
        }
        grid.appendChild(card(lesson));
      });
      BBT.empty(main).appendChild(list.length ? groups : nothing(lessons.length));
      return list.length;
    }

    function update() {
      var lessons, focused, top, again;
      if (!BBT.data.shelf) {
        BBT.empty(main).appendChild(BBT.message({ icon: 'book', title: t('shelf.loading') }));
        return;
      }
      lessons = BBT.data.shelf.lessons;
      focused = document.activeElement && document.activeElement.getAttribute('data-lesson');
      top = main.scrollTop;
      drawFilters(lessons);
      shown = Math.min(shown, Math.max(PAGE, lessons.length));
      drawCards(lessons);
      main.scrollTop = top;
      if (focused) {
        again = [].filter.call(main.querySelectorAll('[data-lesson]'), function (a) {
          return a.getAttribute('data-lesson') === focused;
        })[0];
        if (again) { again.focus(); }
      }
    }

    main.addEventListener('scroll', function () {
      var total = BBT.data.shelf ? BBT.data.shelf.lessons.length : 0;
      if (shown < total && main.scrollTop + main.clientHeight * 2 > main.scrollHeight) {
        shown += PAGE;
        update();
      }
    });

    update();
    return {
      el: el, update: update,
      dock: [
        gradeBar,
        h('div', { 'class': 'dock-end' }, [
          BBT.button({ icon: 'moon', text: t('app.blackout'), onclick: function () { BBT.blackout(); } }),
          BBT.button({ icon: 'language', text: t('app.other_language'), onclick: function () { BBT.changeLanguage(); } })
        ])
      ]
    };
  };
}());
