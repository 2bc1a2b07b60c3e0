/* A document page under page. Only what is on screen is drawn, within a budget of pixels that a 1 GiB board has. */
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
    var wait = BBT.message({ icon: 'pdf', title: t('pdf.loading') });
    var value = h('span', { 'class': 'tool-value tool-page' });
    var pages = [], pdf = null, ratio = null, mode = null, zoom = 1, queue = null, busy = null, giveUp = null, over = false;
    var previous, next;

    function width(page) {
      var free = el.clientWidth - 2 * BBT.pdfMargin(), tall = el.clientHeight - 2 * BBT.pdfMargin();
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
        show(current() + 1);
      } else if (pages[current() - 1]) {
        page = pages[current() - 1];
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
          page.el.appendChild(canvas);
          page.el.setAttribute('data-drawn', 'yes');
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
      if (todo) { draw(todo); }
    }

    function refresh() {
      var at = current();
      value.textContent = t('pdf.page', { n: at + 1, total: pages.length });
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
        el.removeChild(wait);
        for (i = 1; i <= pdf.numPages; i += 1) {
          pages.push({ number: i, ratio: ratio, el: h('div', { 'class': 'pdf-page', 'data-page': String(i) }), canvas: null });
          list.appendChild(pages[i - 1].el);
        }
        layout();
        refresh();
      }, function () { context.fail(t('pdf.broken_text')); });
    }

    function scale(by) {
      resize(function () {
        var now = pages[current()].el.offsetWidth / (el.clientWidth - 2 * BBT.pdfMargin());
        mode = 'zoom';
        zoom = BBT.clamp(now * by, 0.2, FAR);
      });
    }

    function fits(kind) { return function () { resize(function () { mode = kind; }); }; }
    function relayout() { resize(function () {}); }

    previous = BBT.button({ icon: 'up', label: t('pdf.previous'), onclick: function () { read(-1); } });
    next = BBT.button({ icon: 'down', label: t('pdf.next'), onclick: function () { read(1); } });
    previous.disabled = next.disabled = true;
    el.appendChild(wait);
    el.addEventListener('scroll', refresh);
    window.addEventListener('resize', relayout);

    return {
      el: el,
      tools: [
        previous, value, next,
        BBT.button({ icon: 'minus', label: t('view.zoom_out'), onclick: function () { scale(1 / STEP); } }),
        BBT.button({ icon: 'plus', label: t('view.zoom_in'), onclick: function () { scale(STEP); } }),
        BBT.button({ icon: 'fitwidth', text: t('view.fit_width'), onclick: fits('width') }),
        BBT.button({ icon: 'fit', text: t('view.fit'), onclick: fits('page') })
      ],
      mounted: function () {
        giveUp = BBT.openPdf(context.item.url, opened, function (why) {
          context.fail(why === 'unread' ? null : t('pdf.' + why + '_text'));
        });
        el.focus();
      },
      key: function (event) {
        switch (event.key) {
          case 'PageDown': case ' ': read(1); return true;
          case 'PageUp': read(-1); return true;
          case 'ArrowRight': show(current() + 1); return true;
          case 'ArrowLeft': show(current() - 1); return true;
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
        if (giveUp) { giveUp(); }
      }
    };
  };

  /* Half a rem around the pages, in px. */
  BBT.pdfMargin = function () {
    return parseFloat(window.getComputedStyle(document.documentElement).fontSize) / 2;
  };
}());
