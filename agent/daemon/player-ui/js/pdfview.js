/* A document page under page, or two side by side, with a strip of small pages and a pen. Only what is on screen is drawn,
   within a budget of pixels that a 1 GiB board has. */
(function () {
  'use strict';
  var BBT = window.BBT;
  var h = BBT.h, t = BBT.t;
  /* Four bytes a pixel: 8 Mpx is 32 MB a page. Engines that do not say how much memory there is count as small. */
  var SMALL = !(navigator.deviceMemory > 1);
  var PAGE_PX = SMALL ? 8000000 : 16000000;
  var MOST_DRAWN = SMALL ? 3 : 5;
  var STEP = 1.25;
  var FAR = 4;

  BBT.viewers.pdf = function (context) {
    var list = h('div', { 'class': 'pdf-pages' });
    var el = h('div', { 'class': 'pdf', tabindex: '-1' }, [list]);
    var strip = h('div', { 'class': 'pdf-strip hidden', role: 'listbox', 'aria-label': t('pdf.strip') });
    var frame = h('div', { 'class': 'pdf-frame' }, [strip, el]);
    var wait = BBT.message({ icon: 'pdf', title: t('pdf.loading') });
    var value = h('span', { 'class': 'tool-value tool-page' });
    var pages = [], pdf = null, ratio = null, mode = null, zoom = 1, queue = null, busy = null, giveUp = null, over = false;
    var small = [], smallBusy = false;
    var previous, next, pen, penButton, stripButton, twoButton, fitButton;

    function width(page) {
      var free = el.clientWidth - 2 * BBT.pdfMargin(), tall = el.clientHeight - 2 * BBT.pdfMargin();
      /* Both whole: two pages of an open book. */
      if (mode === 'two') { return Math.min((free - BBT.pdfMargin()) / 2, tall * page.ratio); }
      if (mode === 'page') { return Math.min(free, tall * page.ratio); }
      return (mode === 'width' ? free : free * zoom);
    }

    function layout() {
      pages.forEach(function (page) {
        var w = Math.max(1, width(page));
        page.el.style.width = Math.round(w) + 'px';
        page.el.style.height = Math.round(w / page.ratio) + 'px';
      });
    }

    /* One page under the other, or in pairs. */
    function arrange() {
      BBT.empty(list);
      pages.forEach(function (page, i) {
        var row = list.lastChild;
        if (mode !== 'two') { list.appendChild(page.el); return; }
        if (i % 2 === 0) {
          row = h('div', { 'class': 'pdf-pair' });
          list.appendChild(row);
        }
        row.appendChild(page.el);
      });
    }

    function setMode(to) {
      resize(function () {
        var pairs = (mode === 'two') !== (to === 'two');
        mode = to;
        if (pairs) { arrange(); }
      });
      BBT.toggle(twoButton, 'button-on', mode === 'two');
      drawFit();
    }

    /* Changes the size and keeps the same spot of the same page in the middle. */
    function resize(change) {
      var at = current(), page = pages[at], part;
      if (!page) { return; }
      part = (el.scrollTop + el.clientHeight / 2 - page.el.offsetTop) / page.el.offsetHeight;
      change();
      layout();
      el.scrollTop = page.el.offsetTop + part * page.el.offsetHeight - el.clientHeight / 2;
      el.scrollLeft = (el.scrollWidth - el.clientWidth) / 2;
      refresh();
    }

    /* The page in the middle of the screen. */
    function current() {
      var middle = el.scrollTop + el.clientHeight / 2, i;
      for (i = 0; i < pages.length; i += 1) {
        if (pages[i].el.offsetTop + pages[i].el.offsetHeight >= middle) { return i; }
      }
      return pages.length - 1;
    }

    /* The page before or after; in pairs, of the pair. */
    function beside(by) {
      var at = current();
      return mode === 'two' ? at - at % 2 + 2 * by : at + by;
    }

    function show(at) {
      if (!pages[at]) { return; }
      el.scrollTop = pages[at].el.offsetTop - BBT.pdfMargin();
      refresh();
    }

    /* One screen on, or the next page where this one is read: no line is ever skipped. */
    function read(by) {
      var page = pages[current()], screen = el.clientHeight * 0.85, edge;
      if (!page) { return; }
      edge = by > 0 ? page.el.offsetTop + page.el.offsetHeight - el.scrollTop - el.clientHeight
        : el.scrollTop - page.el.offsetTop;
      if (edge > el.clientHeight * 0.05) {
        el.scrollTop += by * Math.min(screen, edge + BBT.pdfMargin());
        refresh();
      } else if (by > 0) {
        show(beside(1));
      } else if (pages[beside(-1)]) {
        page = pages[beside(-1)];
        el.scrollTop = page.el.offsetTop - BBT.pdfMargin() + Math.max(0, page.el.offsetHeight - el.clientHeight);
        refresh();
      }
    }

    function drop(page) {
      if (page.canvas) {
        /* Setting the size frees the pixels at once. */
        page.canvas.width = page.canvas.height = 0;
        page.el.removeChild(page.canvas);
        page.canvas = null;
        page.el.removeAttribute('data-drawn');
        pen.forget(String(page.number));
      }
      if (page.proxy) { page.proxy.cleanup(); }
    }

    /* What should be drawn, the nearest to the middle first. */
    function wanted() {
      var top = el.scrollTop, bottom = top + el.clientHeight, middle = (top + bottom) / 2;
      return pages.filter(function (page) {
        var start = page.el.offsetTop, end = start + page.el.offsetHeight;
        return end > top - el.clientHeight / 2 && start < bottom + el.clientHeight / 2;
      }).sort(function (a, b) {
        function distance(page) {
          var start = page.el.offsetTop, end = start + page.el.offsetHeight;
          return start > middle ? start - middle : end < middle ? middle - end : 0;
        }
        return distance(a) - distance(b);
      }).slice(0, MOST_DRAWN);
    }

    function density(page) {
      var css = page.el.offsetWidth * page.el.offsetHeight;
      return Math.min(window.devicePixelRatio || 1, Math.sqrt(PAGE_PX / css));
    }

    function stale(page) {
      return !page.canvas || Math.abs(page.drawnWidth - page.el.offsetWidth) > 2;
    }

    function draw(page) {
      var canvas = document.createElement('canvas');
      var factor = density(page), cssWidth = page.el.offsetWidth, job;
      busy = page;
      canvas.width = Math.round(cssWidth * factor);
      canvas.height = Math.round(page.el.offsetHeight * factor);
      pdf.getPage(page.number).then(function (proxy) {
        var natural = proxy.getViewport({ scale: 1 });
        page.proxy = proxy;
        if (Math.abs(natural.width / natural.height - page.ratio) > 0.001) {
          /* The first page's shape was only a guess for this one. */
          page.ratio = natural.width / natural.height;
          busy = null;
          resize(function () {});
          return null;
        }
        job = proxy.render({
          canvasContext: canvas.getContext('2d', { alpha: false }),
          viewport: proxy.getViewport({ scale: canvas.width / natural.width })
        });
        page.job = job;
        return job.promise.then(function () {
          page.job = null;
          if (page.canvas) { drop(page); }
          page.canvas = canvas;
          page.drawnWidth = cssWidth;
          page.el.insertBefore(canvas, page.el.firstChild);
          page.el.setAttribute('data-drawn', 'yes');
          pen.redraw({ el: page.el, name: String(page.number) });
        });
      }).then(null, function (error) {
        page.job = null;
        if (error && error.name !== 'RenderingCancelledException') { page.broken = true; }
      }).then(function () {
        busy = null;
        if (!over) { refresh(); }
      });
    }

    function drawNext() {
      var keep = wanted(), todo;
      pages.forEach(function (page) {
        if (page.canvas && keep.indexOf(page) < 0) { drop(page); }
        /* Someone leafing fast does not wait for pages already passed. */
        if (page.job && keep.indexOf(page) < 0) { page.job.cancel(); }
      });
      if (busy) { return; }
      todo = keep.filter(function (page) { return stale(page) && !page.broken; })[0];
      if (todo) { draw(todo); } else { drawSmall(); }
    }

    /* --- the strip --- */
    function fillStrip() {
      if (small.length) { return; }
      pages.forEach(function (page, i) {
        var one = h('button', { type: 'button', role: 'option', 'class': 'pdf-small', 'data-small': String(i + 1), onclick: function () { show(i); } }, [
          h('span', { 'class': 'pdf-small-page' }), h('span', { text: String(i + 1) })
        ]);
        one.firstChild.style.paddingTop = 100 / page.ratio + '%';
        small.push({ el: one, place: one.firstChild, drawn: false });
        strip.appendChild(one);
      });
    }

    function drawSmall() {
      var top = strip.scrollTop, todo;
      if (smallBusy || over || strip.classList.contains('hidden')) { return; }
      small.forEach(function (one, i) {
        var away = one.el.offsetTop + one.el.offsetHeight < top - 3 * strip.clientHeight || one.el.offsetTop > top + 4 * strip.clientHeight;
        if (one.drawn && away) {
          one.place.style.backgroundImage = '';
          BBT.empty(one.place);
          one.drawn = false;
        } else if (todo === undefined && !one.drawn && one.el.offsetTop < top + 1.5 * strip.clientHeight && one.el.offsetTop + one.el.offsetHeight > top) {
          todo = i;
        }
      });
      if (todo === undefined) { return; }
      smallBusy = true;
      small[todo].drawn = true;
      pdf.getPage(todo + 1).then(function (proxy) {
        var canvas = document.createElement('canvas'), natural = proxy.getViewport({ scale: 1 });
        canvas.width = Math.round(small[todo].place.offsetWidth * Math.min(2, window.devicePixelRatio || 1));
        canvas.height = Math.round(canvas.width * natural.height / natural.width);
        return proxy.render({ canvasContext: canvas.getContext('2d', { alpha: false }), viewport: proxy.getViewport({ scale: canvas.width / natural.width }) })
          .promise.then(function () {
            small[todo].place.appendChild(canvas);
            small[todo].el.setAttribute('data-drawn', 'yes');
            if (!pages[todo].canvas) { proxy.cleanup(); }
          });
      }).then(null, function () { /* it stays white */ }).then(function () {
        smallBusy = false;
        if (!over) { refresh(); }
      });
    }

    function toggleStrip() {
      resize(function () {
        BBT.toggle(strip, 'hidden', !strip.classList.contains('hidden'));
        fillStrip();
      });
      BBT.toggle(stripButton, 'button-on', !strip.classList.contains('hidden'));
    }

    function markSmall(at) {
      small.forEach(function (one, i) {
        var on = i === at;
        if (on && !one.el.classList.contains('pdf-small-on') && (one.el.offsetTop < strip.scrollTop || one.el.offsetTop + one.el.offsetHeight > strip.scrollTop + strip.clientHeight)) {
          strip.scrollTop = one.el.offsetTop - strip.clientHeight / 2;
        }
        BBT.toggle(one.el, 'pdf-small-on', on);
      });
    }

    /* --- the pen --- */
    pen = BBT.pen({
      el: el,
      pageOf: function (event) {
        var at = event.target, page;
        while (at && at !== el && !(at.getAttribute && at.getAttribute('data-page'))) { at = at.parentNode; }
        page = at && at !== el && at.getAttribute ? at.getAttribute('data-page') : null;
        return page ? { el: at, name: page } : null;
      },
      picture: function (name) { return pages[Number(name) - 1] ? pages[Number(name) - 1].canvas : null; },
      onchange: function () {}
    });

    function refresh() {
      var at = current();
      value.textContent = t('pdf.page', { n: at + 1, total: pages.length });
      markSmall(at);
      previous.disabled = el.scrollTop <= 1;
      next.disabled = el.scrollTop + el.clientHeight >= el.scrollHeight - 1;
      window.clearTimeout(queue);
      queue = window.setTimeout(drawNext, 60);
    }

    function opened(document_) {
      pdf = document_;
      pdf.getPage(1).then(function (first) {
        var box = first.getViewport({ scale: 1 }), i;
        if (over) { return; }
        ratio = box.width / box.height;
        /* Upright pages are read by width: whole, their letters are too small for the last row. Slides are shown whole. */
        mode = ratio < 1.1 ? 'width' : 'page';
        drawFit();
        el.removeChild(wait);
        for (i = 1; i <= pdf.numPages; i += 1) {
          pages.push({ number: i, ratio: ratio, el: h('div', { 'class': 'pdf-page', 'data-page': String(i) }), canvas: null });
        }
        arrange();
        layout();
        refresh();
      }, function () { context.fail(t('pdf.broken_text'), 'PDF_PAGE'); });
    }

    function scale(by) {
      resize(function () {
        var now = pages[current()].el.offsetWidth / (el.clientWidth - 2 * BBT.pdfMargin());
        if (mode === 'two') {
          mode = 'zoom';
          arrange();
          BBT.toggle(twoButton, 'button-on', false);
        }
        mode = 'zoom';
        drawFit();
        zoom = BBT.clamp(now * by, 0.2, FAR);
      });
    }

    /* Whole at once or as wide as the screen: one button that says which comes next. */
    function drawFit() {
      var next = mode === 'width' ? 'page' : 'width';
      BBT.setIcon(fitButton, next === 'page' ? 'fit' : 'fitwidth');
      BBT.setLabel(fitButton, t(next === 'page' ? 'view.fit' : 'view.fit_width'));
    }
    function relayout() { resize(function () {}); }

    previous = BBT.button({ icon: 'up', label: t('pdf.previous'), onclick: function () { read(-1); } });
    next = BBT.button({ icon: 'down', label: t('pdf.next'), onclick: function () { read(1); } });
    previous.disabled = next.disabled = true;
    el.appendChild(wait);
    el.addEventListener('scroll', refresh);
    strip.addEventListener('scroll', function () { drawSmall(); });
    stripButton = BBT.button({ icon: 'strip', label: t('pdf.strip'), 'class': 'button-strip', onclick: toggleStrip });
    twoButton = BBT.button({ icon: 'two', label: t('pdf.two'), 'class': 'button-two', onclick: function () { setMode(mode === 'two' ? (ratio < 1.1 ? 'width' : 'page') : 'two'); } });
    fitButton = BBT.button({ icon: 'fit', label: t('view.fit'), 'class': 'button-fit', onclick: function () { setMode(mode === 'width' ? 'page' : 'width'); } });
    penButton = BBT.button({ icon: 'pen', text: t('pen.title'), 'class': 'button-pen', onclick: function () { BBT.toggle(penButton, 'button-on', pen.toggle()); } });
    window.addEventListener('resize', relayout);

    return {
      el: frame, kind: 'pdf', seek: pen.bar, leaving: pen.leaving,
      tools: [
        previous, value, next, stripButton, twoButton,
        BBT.button({ icon: 'minus', label: t('view.zoom_out'), onclick: function () { scale(1 / STEP); } }),
        BBT.button({ icon: 'plus', label: t('view.zoom_in'), onclick: function () { scale(STEP); } }),
        fitButton,
        penButton
      ],
      mounted: function () {
        giveUp = BBT.openPdf(context.item.url, opened, function (why) {
          context.fail(why === 'unread' ? null : t('pdf.' + why + '_text'), 'PDF_' + why.toUpperCase());
        });
        el.focus();
      },
      key: function (event) {
        switch (event.key) {
          case ' ': if (event.target.tagName === 'BUTTON') { return false; } read(1); return true;
          case 'PageDown': read(1); return true;
          case 'p': case 'P': penButton.click(); return true;
          case 'PageUp': read(-1); return true;
          case 'ArrowRight': if (pages.length && !pages[beside(1)]) { return false; } show(beside(1)); return true;
          case 'ArrowLeft': if (pages.length && !pages[beside(-1)]) { return false; } show(beside(-1)); return true;
          case '+': case '=': scale(STEP); return true;
          case '-': scale(1 / STEP); return true;
          default: return false;
        }
      },
      destroy: function () {
        over = true;
        window.clearTimeout(queue);
        window.removeEventListener('resize', relayout);
        pages.forEach(function (page) {
          if (page.job) { page.job.cancel(); }
          drop(page);
        });
        pages = [];
        small = [];
        pen.destroy();
        if (giveUp) { giveUp(); }
      }
    };
  };

  /* Half a rem around the pages, in px. */
  BBT.pdfMargin = function () {
    return parseFloat(window.getComputedStyle(document.documentElement).fontSize) / 2;
  };
}());
