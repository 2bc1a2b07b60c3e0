/* Every lesson by 学科, 册次 and 章节, a screenful at a time: 20,000 lessons are asked for in pages, never as a whole. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  /* Three columns of four, and two beside chapters: what a board shows without scrolling. */
  var PAGE = 12, PAGE_BESIDE = 8;
  /* While lessons arrive the agent speaks twice a second; the shelf asks again less often. */
  var AGAIN_MS = 2500;

  function subjectEntry(name) {
    function found(fits) { return BBT.subjects.filter(function (one) { return fits(one.name); })[0]; }
    var entry = name ? found(function (one) { return one === name; }) || found(function (one) { return one.indexOf(name) === 0 || name.indexOf(one) === 0; }) : null;
    return { name: name, glyph: entry ? entry.glyph : name.charAt(0) || '·', colour: entry ? entry.colour : 'steel' };
  }

  function rank(list, value) {
    var at = list.indexOf(value);
    return at < 0 ? list.length : at;
  }

  var subjectNames = BBT.subjects.map(function (s) { return s.name; });

  function byText(a, b) { return a < b ? -1 : a > b ? 1 : 0; }

  function bySubject(a, b) { return rank(subjectNames, a) - rank(subjectNames, b) || byText(a, b); }
  function byGrade(a, b) { return rank(BBT.grades, a) - rank(BBT.grades, b) || byText(a, b); }

  BBT.subjectEntry = subjectEntry;
  BBT.bySubject = bySubject;

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
    return h('div', { 'class': 'card-kinds' }, (lesson.kinds || []).map(function (kind) { return BBT.icon(BBT.kindIcon(kind)); }));
  }

  BBT.kindIcon = function (kind) {
    return ['video', 'audio', 'image', 'pdf', 'html5', 'office'].indexOf(kind) >= 0 ? kind : 'other';
  };

  /* A lesson in a list, as shelf and search show it: options {title: an element with the title and its marks, fields: what
     of the lesson's place is told}. */
  BBT.lessonCard = function (lesson, options) {
    var subject = subjectEntry(lesson.subject || '');
    var state = BBT.stateOf(lesson);
    var name = BBT.titleOf(lesson);
    return h('a', {
      'class': 'card card-' + state.kind,
      href: '#/lesson/' + encodeURIComponent(lesson.id),
      'data-lesson': lesson.id
    }, [
      lesson.thumbnail ? h('img', { 'class': 'card-picture', src: lesson.thumbnail, alt: '' })
        : h('div', { 'class': 'card-glyph tone-' + subject.colour, text: subject.glyph, 'aria-hidden': 'true' }),
      h('div', { 'class': 'card-body' }, [
        h('h3', { 'class': 'card-title' }, [(options && options.title) || h('span', { text: name })]),
        h('p', { 'class': 'card-place', text: BBT.placeOf(lesson, (options && options.fields) || ['grade', 'period']) }),
        h('div', { 'class': 'card-foot' }, [
          h('div', { 'class': 'state state-' + state.kind }, [BBT.icon(state.icon), h('span', { text: state.text })]),
          lesson.own ? h('span', { 'class': 'card-own', text: t('shelf.own') }) : null,
          lesson.state === 'ready' ? kindIcons(lesson) : null
        ]),
        lesson.state === 'fetching' ? BBT.progressBar(lesson) : null
      ])
    ]);
  };

  function chip(text, on, hash, tone, small) {
    return h('button', {
      type: 'button', 'class': 'chip' + (on ? ' chip-on' : '') + (tone ? ' chip-' + tone : ''),
      'aria-pressed': on ? 'true' : 'false', onclick: function () { BBT.go(hash, true); }
    }, [h('span', { text: text }), small ? h('small', { text: small }) : null]);
  }

  var FIELDS = ['subject', 'grade', 'volume', 'chapter', 'page'];

  function queryOf(filter) {
    return FIELDS.filter(function (name) { return filter[name]; }).map(function (name) {
      return name + '=' + encodeURIComponent(filter[name]);
    }).join('&');
  }

  BBT.shelfHash = function (filter) {
    var query = queryOf(filter);
    return '#/shelf' + (query ? '?' + query : '');
  };

  function total(facets, of) {
    return facets.filter(of).reduce(function (sum, facet) { return sum + facet.count; }, 0);
  }

  /* Distinct values of the facets that fit, in the order of `order`. */
  function distinct(facets, of, order) {
    var seen = {}, values = [];
    facets.forEach(function (facet) {
      var value = of(facet);
      if (value && !seen['of ' + value]) {
        seen['of ' + value] = true;
        values.push(value);
      }
    });
    return values.sort(order);
  }

  BBT.view('shelf', function (where) {
    var filter = where.query;
    var rail = h('nav', { 'class': 'rail' });
    var chapters = h('nav', { 'class': 'chapters hidden' });
    var main = h('main', { 'class': 'shelf', tabindex: '-1' });
    var el = h('div', { 'class': 'view view-shelf' }, [rail, chapters, main]);
    var bar = h('div', { 'class': 'grade-bar' });
    var previous = BBT.button({ icon: 'previous', label: t('shelf.previous'), 'class': 'button-page', onclick: function () { turn(-1); } });
    var next = BBT.button({ icon: 'next', label: t('shelf.next'), 'class': 'button-page', onclick: function () { turn(1); } });
    var count = h('span', { 'class': 'page-count' });
    var page = Math.max(0, (Number(filter.page) || 1) - 1);
    var beside = !!(filter.subject && filter.grade);
    var size = beside ? PAGE_BESIDE : PAGE;
    var answer = null, failed = false, round = -1, call = null, drawn = '', facetsDrawn = '', asked = 0, timer = null, ended = false, from = null;

    /* The filter with some fields changed, on its first page. */
    function but(change) {
      var other = {};
      FIELDS.forEach(function (name) { other[name] = change[name] !== undefined ? change[name] : filter[name]; });
      other.page = '';
      return BBT.shelfHash(other);
    }

    function drawFilters() {
      var facets = BBT.data.home.facets || [];
      var now = JSON.stringify([facets, BBT.language]);
      var here;
      if (now === facetsDrawn) { return; }
      facetsDrawn = now;
      BBT.empty(rail).appendChild(chip(t('shelf.all_subjects'), !filter.subject, but({ subject: '', chapter: '' })));
      distinct(facets, function (f) { return f.subject; }, bySubject).forEach(function (name) {
        /* A grade that the subject does not have would show an empty page. */
        var keeps = total(facets, function (f) { return f.subject === name && f.grade === filter.grade && (!filter.volume || f.volume === filter.volume); });
        rail.appendChild(chip(name, filter.subject === name,
          but({ subject: name, grade: keeps ? filter.grade : '', volume: keeps ? filter.volume : '', chapter: '' }), subjectEntry(name).colour));
      });
      here = facets.filter(function (f) { return !filter.subject || f.subject === filter.subject; });
      BBT.empty(bar).appendChild(chip(t('shelf.all_grades'), !filter.grade, but({ grade: '', volume: '', chapter: '' })));
      distinct(here, function (f) { return f.grade; }, byGrade).forEach(function (name) {
        var on = filter.grade === name;
        bar.appendChild(chip(name, on && !filter.volume, but({ grade: name, volume: '', chapter: '' })));
        if (!on) { return; }
        /* 上册 and 下册 of the chosen grade. */
        distinct(here.filter(function (f) { return f.grade === name; }), function (f) { return f.volume; }, byText).forEach(function (volume) {
          bar.appendChild(chip(volume, filter.volume === volume, but({ volume: volume, chapter: '' }), 'sub'));
        });
      });
      window.setTimeout(function () {
        [rail, bar].forEach(function (part) {
          var on = part.querySelector('.chip-on');
          if (on && on.offsetLeft + on.offsetWidth > part.clientWidth) { part.scrollLeft = on.offsetLeft - part.clientWidth / 2; }
          if (on && on.offsetTop + on.offsetHeight > part.clientHeight + part.offsetTop) { part.scrollTop = on.offsetTop - part.clientHeight / 2; }
        });
      }, 0);
    }

    function drawChapters() {
      var list = answer && beside ? answer.chapters || [] : [];
      var top = chapters.scrollTop;
      BBT.toggle(chapters, 'hidden', !beside);
      BBT.empty(chapters);
      if (!beside) { return; }
      chapters.appendChild(chip(t('shelf.all_chapters'), !filter.chapter, but({ chapter: '' })));
      list.forEach(function (one) {
        if (one.chapter) { chapters.appendChild(chip(one.chapter, filter.chapter === one.chapter, but({ chapter: one.chapter }), '', String(one.count))); }
      });
      chapters.scrollTop = top;
    }

    function nothing() {
      var home = BBT.data.home;
      if (failed) { return BBT.message({ icon: 'warn', title: t('api.no_answer') }); }
      if (home.counts && home.counts.total) {
        return BBT.message({
          icon: 'search', title: t('shelf.none_title'), text: t('shelf.none_text'),
          button: BBT.button({ text: t('shelf.show_all'), 'class': 'button-primary', onclick: function () { BBT.go('#/shelf', true); } })
        });
      }
      if (home.preparing) { return BBT.message({ icon: 'clock', title: t('shelf.loading'), text: t('shelf.preparing_text') }); }
      return BBT.message({ icon: 'book', title: t('shelf.empty_title'), text: t('shelf.empty_text') });
    }

    function pages() { return Math.max(1, Math.ceil((answer ? answer.total : 0) / size)); }

    function draw() {
      var empty = !answer || !answer.lessons.length;
      var now = JSON.stringify([answer, failed, BBT.language, empty ? [BBT.data.home.counts, BBT.data.home.preparing] : 0]);
      var focused, again;
      if (now === drawn) { return; }
      drawn = now;
      focused = document.activeElement && document.activeElement.getAttribute('data-lesson');
      drawChapters();
      BBT.toggle(el, 'beside', beside);
      if (answer && answer.lessons.length) {
        BBT.empty(main).appendChild(h('div', { 'class': 'grid' }, answer.lessons.map(function (lesson) {
          /* What the filters say already is not said again. */
          return BBT.lessonCard(lesson, { fields: filter.chapter ? ['period'] : filter.grade ? ['chapter', 'period'] : ['grade', 'period'] });
        })));
      } else {
        BBT.empty(main).appendChild(nothing());
      }
      count.textContent = answer && answer.total ? t('shelf.page', { n: page + 1, total: pages() }) : '';
      previous.disabled = page === 0;
      next.disabled = page >= pages() - 1;
      [previous, next, count].forEach(function (part) { BBT.toggle(part, 'hidden', pages() < 2); });
      if (focused) {
        again = [].filter.call(main.querySelectorAll('[data-lesson]'), function (a) { return a.getAttribute('data-lesson') === focused; })[0];
        if (again) { again.focus(); }
      }
    }

    function ask() {
      var wanted = { subject: filter.subject, grade: filter.grade, volume: filter.volume, chapter: filter.chapter };
      var query = queryOf(wanted);
      window.clearTimeout(timer);
      timer = null;
      asked = Date.now();
      round = BBT.data.round;
      if (call) { call.abort(); }
      call = BBT.api.get('api/lessons?' + (query ? query + '&' : '') + 'offset=' + page * size + '&limit=' + size, function (ok, body) {
        call = null;
        if (ended) { return; }
        failed = !ok && !answer;
        if (ok && body) {
          answer = body;
          BBT.data.keepBriefs(body.lessons);
          if (page >= pages()) { page = pages() - 1; ask(); return; }
        }
        draw();
      });
    }

    function turn(by) {
      var to = BBT.clamp(page + by, 0, pages() - 1), other = {};
      if (to === page) { return; }
      page = to;
      /* The page is part of the address, so that Back from a lesson leads to where it was picked. */
      FIELDS.forEach(function (name) { other[name] = filter[name]; });
      other.page = page ? String(page + 1) : '';
      filter.page = other.page;
      BBT.quietly(BBT.shelfHash(other));
      ask();
    }

    function update() {
      if (!BBT.data.home) {
        BBT.empty(main).appendChild(BBT.message({ icon: 'book', title: t('shelf.loading') }));
        return;
      }
      drawFilters();
      if (drawn === '' && !call && !answer) { ask(); return; }
      if (answer) { draw(); }
      if (round !== BBT.data.round && !timer && !call) {
        timer = window.setTimeout(ask, Math.max(0, asked + AGAIN_MS - Date.now()));
      }
    }

    /* A sweep of the hand turns the page. */
    main.addEventListener('touchstart', function (event) { from = event.touches.length === 1 ? event.touches[0] : null; });
    main.addEventListener('touchend', function (event) {
      var to = event.changedTouches[0], across;
      if (!from) { return; }
      across = to.clientX - from.clientX;
      if (Math.abs(across) > 120 && Math.abs(across) > 2 * Math.abs(to.clientY - from.clientY)) { turn(across < 0 ? 1 : -1); }
      from = null;
    });

    update();
    return {
      el: el, update: update,
      destroy: function () {
        ended = true;
        window.clearTimeout(timer);
        if (call) { call.abort(); }
      },
      key: function (event) {
        if (event.key === 'PageDown') { turn(1); return true; }
        if (event.key === 'PageUp') { turn(-1); return true; }
        return false;
      },
      dock: [
        h('div', { 'class': 'dock-start' }, [
          BBT.homeButton(),
          BBT.button({ icon: 'search', label: t('home.search'), 'class': 'button-search', onclick: function () { BBT.go('#/search'); } })
        ]),
        bar,
        h('div', { 'class': 'dock-end' }, [previous, count, next])
      ]
    };
  });
}());
